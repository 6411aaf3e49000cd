"""Style transfer in one call, from files or arrays to a picture that can be shown and saved."""

import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from common.storage.folder import Folder
from perceptual.loading import load_network
from styletransfer.config import StyleConfig
from styletransfer.pictures.reading import read_picture
from styletransfer.pictures.writing import write_picture
from styletransfer.transfer import stylize as optimize
from styletransfer.transfer.features import Network
from styletransfer.transfer.stylize import Progress, Stylized

PictureSource = str | Path | Image.Image | np.ndarray
"""A file, a Pillow image, or RGB (H, W, 3) as bytes or as floats in [0, 1]."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """A stylized picture; a notebook shows it."""

    stylized: Stylized
    config: StyleConfig
    alpha: np.ndarray | None = None
    """Alpha of the content, uint8 (H, W); None if it is opaque."""

    @property
    def pixels(self) -> np.ndarray:
        """uint8 (H, W, 3)."""
        scaled: np.ndarray = np.rint(self.stylized.picture * 255)
        return scaled.astype(np.uint8)

    @property
    def image(self) -> Image.Image:
        """The picture as RGB, or RGBA where the content had alpha."""
        image = Image.fromarray(self.pixels)
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        return image

    def save(self, path: str | Path, *, quality: int = 95) -> None:
        """Write a PNG, JPEG, WebP or TIFF by the ending of the name, atomically, with the settings inside.

        Raises: ConfigError for another ending, and when the file cannot be written.
        """
        path = Path(path)
        folder = Folder(str(path.parent))
        write_picture(folder, path.name, self.pixels, self.alpha, self.config.to_dict(), quality=quality)

    def __repr__(self) -> str:
        height, width = self.stylized.picture.shape[:2]
        seconds = sum(self.stylized.seconds_by_scale)
        return f"Result({width} x {height}, {self.stylized.iterations} iterations in {seconds:.1f} s)"

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.image.save(file, "PNG")
        return file.getvalue()


def stylize(
    content: PictureSource,
    styles: PictureSource | Sequence[PictureSource],
    *,
    masks: Sequence[PictureSource | None] | None = None,
    start: PictureSource = "content",
    config: StyleConfig | None = None,
    network: Network | None = None,
    device: torch.device | str = "cpu",
    on_step: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> Result:
    """Stylize a picture after another or several: `stylize("photo.jpg", "painting.jpg", size=256)`.

    masks: grey pictures, one per style, white where it goes; None: everywhere. start: content, noise, gray or
    a picture. settings: fields of `StyleConfig` that override those of `config`. network: default: loaded by
    the settings; pass one to load it only once.

    Raises: ConfigError for files that cannot be read, settings that break a rule, and as
    `styletransfer.transfer.stylize.stylize`.
    """
    if isinstance(start, str | Path):
        settings["start"] = str(start)
    config = (config or StyleConfig()).with_values(settings)
    if network is None:
        network = load_network(
            config.features,
            weights=config.weights,
            pooling=config.pooling,
            last_tap=config.last_tap(),
            device=device,
        )
    several = styles if isinstance(styles, Sequence) and not isinstance(styles, str) else [styles]
    photo, alpha = _read(content, long_side_px=config.size)
    begin: PictureSource | None = config.start_file() if isinstance(start, str | Path) else start
    stylized = optimize.stylize(
        photo,
        [_on_white(style) for style in several],
        config,
        network=network,
        masks=None if masks is None else [None if mask is None else _grey(mask) for mask in masks],
        start=None if begin is None else _on_white(begin),
        device=device,
        on_step=on_step,
    )
    return Result(stylized=stylized, config=config, alpha=alpha)


def _read(source: PictureSource, *, long_side_px: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """RGB, and alpha if the picture has it."""
    if isinstance(source, np.ndarray):
        return source, None
    picture = read_picture(_file(source), long_side_px=long_side_px, enlarge=True)
    return picture.rgb, picture.alpha


def _on_white(source: PictureSource) -> np.ndarray:
    return source if isinstance(source, np.ndarray) else read_picture(_file(source)).on_white()


def _grey(mask: PictureSource) -> np.ndarray:
    if isinstance(mask, np.ndarray):
        return mask
    return np.array(Image.fromarray(read_picture(_file(mask)).on_white()).convert("L"))


def _file(source: str | Path | Image.Image) -> str | Path | bytes:
    if not isinstance(source, Image.Image):
        return source
    file = io.BytesIO()  # encoded, so that mode, profile and orientation are read as from a file
    source.save(file, "PNG")
    return file.getvalue()
