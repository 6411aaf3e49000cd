"""Style transfer in one call, from files or arrays to a picture that can be shown and saved."""

import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from common.errors import ConfigError
from common.storage.folder import Folder
from perceptual.loading import load_network
from styletransfer.config import StyleConfig
from styletransfer.pictures import roles
from styletransfer.pictures.writing import write_picture
from styletransfer.transfer import stylize as optimize
from styletransfer.transfer.features import Network
from styletransfer.transfer.scales import as_array, as_tensor, mask_tensor
from styletransfer.transfer.stylize import Progress, Stylized

PictureSource = str | Path | Image.Image | np.ndarray | Tensor
"""A file, a Pillow image, or RGB (H, W, 3) as bytes or as floats in [0, 1]; a mask may be (H, W)."""
T = TypeVar("T")


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
    masks: PictureSource | Sequence[PictureSource | None] | None = None,
    start: PictureSource = "content",
    config: StyleConfig | None = None,
    network: Network | None = None,
    device: torch.device | str = "cpu",
    on_step: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> Result:
    """Stylize a picture after another or several: `stylize("photo.jpg", "painting.jpg", size=256)`.

    Whatever the pictures come from, they are read as `python -m styletransfer` reads files. masks: grey
    pictures, one per style, white where it goes, black or clear elsewhere; None: everywhere. start: content,
    noise, gray or a picture. settings: fields of `StyleConfig` that override those of `config`. network:
    default: loaded by the settings; pass one to load it only once.

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
    paintings = [_read(roles.read_style, style, config, "a style picture") for style in _several(styles)]
    places = [None] * len(paintings) if masks is None else _several(masks)
    begin = config.start_file() if isinstance(start, str | Path) else start
    photo = _read(roles.read_content, content, config, "the content picture")
    stylized = optimize.stylize(
        photo.rgb,
        [painting.rgb for painting in paintings],
        config,
        network=network,
        masks=[
            None if place is None else _read(roles.read_mask, place, config, "a mask") for place in places
        ],
        alpha=photo.alpha,
        style_alphas=[painting.alpha for painting in paintings],
        start=None if begin is None else _read(roles.read_start, begin, config, "the start picture"),
        device=device,
        on_step=on_step,
    )
    return Result(stylized=stylized, config=config, alpha=photo.alpha)


def _several(given: Any) -> list[Any]:
    """One picture or several, as a list."""
    return list(given) if isinstance(given, list | tuple) else [given]


def _read(read: Callable[..., T], given: Any, config: StyleConfig, name: str) -> T:
    """A picture as `read`, one of `roles`, reads it; of an array or tensor, its values as 8 bits.

    Raises: ConfigError for what is no picture, an array of another shape or type, and values outside [0, 1].
    """
    if isinstance(given, str | Path):
        return read(given, config)
    if isinstance(given, np.ndarray | Tensor):
        values = given.detach() if isinstance(given, Tensor) else given
        if read is roles.read_mask and values.ndim == 2:
            decoded = mask_tensor(values, name=name)[0, 0].numpy()
        else:
            decoded = as_array(as_tensor(values, name=name))
        given = Image.fromarray(np.rint(decoded * 255).astype(np.uint8))
    if not isinstance(given, Image.Image):
        raise ConfigError(
            f"{name} must be a file, a Pillow image, an array or a tensor, not {type(given).__name__}; "
            "give its path"
        )
    return read(given, config, name=name)
