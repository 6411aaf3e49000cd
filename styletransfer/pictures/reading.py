"""Reads a picture file of any common format, or an open Pillow image, as upright 8-bit sRGB with alpha.

Conventions: colours are converted from the embedded profile to sRGB; a picture without a profile is read as
sRGB, CMYK and HSV as Pillow converts them, Lab under D50. EXIF orientation is applied. Of an animation or a
file with several pages only the first is used, which `notes` records. 16-bit colours keep their high bytes;
16-bit grey is scaled as in `common.image_files`. Pixels of alpha 0 are white.
"""

import contextlib
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from common.errors import ConfigError, require_between
from common.image_files import (
    DEEP_GREY,
    LARGEST_MAX_PIXELS,
    MAX_PIXELS,
    UnreadableError,
    grey_to_8_bits,
    opened,
    quiet_pillow,
    upright,
)
from common.text import one_line, printable
from styletransfer.pictures.resizing import Pixels, fitted_size, on_white, resize

PictureSource = Path | str | bytes | Image.Image
"""A file, its bytes, or an image that Pillow has opened or made."""

_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112
_MODE_OF_PROFILE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}


class PictureError(ConfigError):
    """A file that cannot be read as a picture; `reason` says why in a few words."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)  # both, so that it survives pickling
        self.reason = reason

    def __str__(self) -> str:
        return f"{printable(self.args[0])} cannot be read: {self.reason}; replace it or move it away"


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture."""

    rgb: Pixels
    """(H, W, 3) sRGB, not multiplied by alpha."""
    alpha: Pixels | None
    """(H, W), 255 is opaque; None when every pixel is."""
    notes: tuple[str, ...] = ()
    """What was left out or assumed, a few words each."""

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height)."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def on_white(self) -> Pixels:
        """(H, W, 3) sRGB, composed on white."""
        return self.rgb if self.alpha is None else on_white(self.rgb, self.alpha)


def read_picture(
    source: PictureSource,
    *,
    name: str | None = None,
    long_side_px: int | None = None,
    enlarge: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Read a picture, shrunk until its longer side is `long_side_px`; a smaller one grows only if `enlarge`.

    `name` names the picture in errors; by default its path. An image is left as it is.

    Raises: PictureError when it cannot be opened or decoded, or has more than `max_pixels`, which is checked
    in the header before any pixel is decoded; ConfigError for a bad argument.
    """
    with opened_picture(source, name, max_pixels) as image:
        notes = _notes_on_frames(image)
        image.load()
        straight = upright(image)
        rgb, alpha = _colour_and_alpha(straight, straight.info.get("icc_profile"), notes)
        size = fitted_size(straight.size, long_side_px, enlarge=enlarge)
        rgb, alpha = resize(rgb, alpha, size)
    if alpha is not None:
        rgb = np.where(alpha[..., None] > 0, rgb, np.uint8(255))
    return Picture(rgb, alpha, tuple(notes))


def read_size(
    source: PictureSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> tuple[int, int]:
    """(width, height) of a picture, upright, from its header; nothing is decoded.

    Raises: PictureError as `read_picture` does for what the header shows.
    """
    with opened_picture(source, name, max_pixels) as image:
        width, height = image.size
        with contextlib.suppress(Exception):  # damaged EXIF data: the size as stored
            exif = image.getexif()
            if image.format == "TIFF":  # whose size Pillow may have turned already
                width, height = exif[_WIDTH], exif[_HEIGHT]
            if exif.get(_ORIENTATION) in (5, 6, 7, 8):
                width, height = height, width
        return width, height


@contextlib.contextmanager
def opened_picture(source: PictureSource, name: str | None, max_pixels: int) -> Iterator[Image.Image]:
    """The picture with its header read and checked; whatever goes wrong in the block is a PictureError."""
    require_between("max_pixels", max_pixels, 1, LARGEST_MAX_PIXELS)
    source, label = Path(source) if isinstance(source, str) else source, _label(source, name)
    try:
        with _image_of(source, max_pixels) as image:
            yield image
    except UnreadableError as error:
        raise PictureError(label, str(error)) from error


def require_visible(picture: Picture, source: PictureSource, name: str | None = None) -> None:
    """Raise `PictureError` for a picture that is clear everywhere."""
    if picture.alpha is not None and not picture.alpha.any():
        raise PictureError(_label(source, name), "transparent everywhere, nothing to see")


def _label(source: PictureSource, name: str | None) -> str:
    """What messages call the picture."""
    return name or (str(Path(source)) if isinstance(source, Path | str) else "the picture")


def _image_of(
    source: Path | bytes | Image.Image, max_pixels: int
) -> contextlib.AbstractContextManager[Image.Image]:
    return _checked(source, max_pixels) if isinstance(source, Image.Image) else opened(source, max_pixels)


@contextlib.contextmanager
def _checked(image: Image.Image, max_pixels: int) -> Iterator[Image.Image]:
    """An image that is open already; any error within the block becomes an UnreadableError."""
    width, height = image.size
    if width < 1 or height < 1:
        raise UnreadableError(f"{width} x {height} pixels, nothing to see")
    if width * height > max_pixels:
        raise UnreadableError(f"{width} x {height} pixels, over the limit of {max_pixels:,}")
    try:
        with quiet_pillow():
            yield image
    except (UnreadableError, ConfigError):
        raise
    except Exception as error:  # its file may be damaged or closed
        raise UnreadableError(one_line(error, 120)) from error


def _notes_on_frames(image: Image.Image) -> list[str]:
    # n_frames would walk through all of a GIF, is_animated stops at the second frame
    if not getattr(image, "is_animated", False):
        return []
    what = "page" if image.format in ("TIFF", "MPO") else "frame"
    return [f"only its first {what} is used"]


def _colour_and_alpha(
    image: Image.Image, profile: bytes | None, notes: list[str]
) -> tuple[Pixels, Pixels | None]:
    alpha = None
    if image.mode in DEEP_GREY:
        values = np.asarray(image)
        clear = image.info.get("transparency")  # PNG's one grey that cannot be seen
        if isinstance(clear, int):
            alpha = np.where(values == clear, 0, 255).astype(np.uint8)
        image = Image.fromarray(grey_to_8_bits(values, image.mode))
    elif image.has_transparency_data:
        clear = image.info.get("transparency")
        if isinstance(clear, tuple) and max(clear) > 255:
            notes.append("its clear colour of 16 bits is left out")
        is_grey = image.mode in ("1", "L", "LA", "La")
        image = image.convert("LA" if is_grey else "RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.getchannel("L") if is_grey else image.convert("RGB")
    elif image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    rgb = np.array(_to_srgb(image, profile, notes))
    return rgb, None if alpha is None or bool((alpha == 255).all()) else alpha


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """L, RGB, CMYK or LAB as sRGB by its profile; one that is damaged or does not fit is left out."""
    if profile:
        try:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = _MODE_OF_PROFILE.get(opened.profile.xcolor_space.strip())
            fitting = image.convert("RGB") if (image.mode, mode) == ("L", "RGB") else image
            if fitting.mode == mode:
                converted = ImageCms.profileToProfile(
                    fitting,
                    opened,
                    ImageCms.createProfile("sRGB"),
                    # what browsers do
                    renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    outputMode="RGB",
                    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
                )
                if converted is not None:
                    return converted
            notes.append("its colour profile does not fit its pixels and is left out")
        except (ImageCms.PyCMSError, OSError, ValueError):
            notes.append("its colour profile is damaged and is left out")
    if image.mode == "LAB":  # which Pillow converts by profiles alone
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None
        return converted
    return image.convert("RGB")
