"""One picture file of any common kind as a square of 8-bit RGB; which files there are is decided elsewhere.

Conventions: transparency is laid on white; colour profiles are not applied; of an animation the first frame
counts; EXIF orientation is applied; 16-bit and floating-point grey is scaled as `_to_8_bits` says.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
)
# only these decoders are offered the bytes: others start programs (EPS) or were never meant for strangers
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")
MAX_PIXELS = 120_000_000  # a 108-megapixel phone's pictures pass; decoded as RGB 360 MB a thread
MAX_BYTES = 512 * 2**20
_DEEP_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


class BrokenPictureError(ValueError):
    """A file that is no picture we can read; the message says why in a few words."""


def read_picture(file: Path | bytes, resolution: int) -> npt.NDArray[np.uint8]:
    """Read one picture as (resolution, resolution, 3) uint8 RGB.

    Raises: BrokenPictureError for whatever cannot be opened or decoded, or is too large to be trusted.
    """
    try:
        with Image.open(io.BytesIO(_bytes_of(file)), formats=_FORMATS) as image:
            pixels = image.width * image.height
            if pixels > MAX_PIXELS:
                raise BrokenPictureError(f"{image.width} x {image.height} pixels, over {MAX_PIXELS:,}")
            if image.format == "JPEG" and image.mode in ("L", "RGB"):
                # libjpeg shrinks while it decodes; a factor of 2 is left to the better filter below
                image.draft(None, (2 * resolution, 2 * resolution))
            image.load()
            return to_square(_upright(image), resolution)
    except BrokenPictureError:
        raise
    except Image.DecompressionBombError:
        raise BrokenPictureError(f"over {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise BrokenPictureError("not a picture of a known kind") from None
    except Exception as error:  # decoders of damaged files raise nearly anything, down to struct.error
        raise BrokenPictureError(_reason(error)) from error


def to_square(image: Image.Image, resolution: int) -> npt.NDArray[np.uint8]:
    """Shorter side resized to `resolution`, centre cropped: (resolution, resolution, 3) uint8 RGB."""
    image = _to_rgb(image)
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    if side != resolution or width != height:
        # cut and resized in one go, so that a picture of 1 x 1,000,000 pixels never grows
        image = image.resize(
            (resolution, resolution),
            Image.Resampling.LANCZOS,
            box=(left, top, left + side, top + side),
            reducing_gap=3.0,
        )
    return np.asarray(image)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Hold back Pillow's warnings about odd files; the filter is the whole process's, threads included."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _bytes_of(file: Path | bytes) -> bytes:
    if isinstance(file, bytes):
        return file
    if not file.exists():
        raise BrokenPictureError("a link to nowhere" if file.is_symlink() else "no such file")
    if not file.is_file():  # a named pipe would wait for ever
        raise BrokenPictureError("not a regular file")
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise BrokenPictureError(f"{size:,} bytes, over {MAX_BYTES:,}")
    return file.read_bytes()


def _upright(image: Image.Image) -> Image.Image:
    """Turned and mirrored as its EXIF orientation says; as it lies when the EXIF data are damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the picture itself was read well: its metadata must not cost it
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_GREY:
        image = Image.fromarray(_to_8_bits(np.asarray(image), image.mode))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _to_8_bits(values: npt.NDArray[np.generic], mode: str) -> npt.NDArray[np.uint8]:
    """Deep grey as uint8, rounded.

    16-bit integers: 65535 is white. 32-bit integers and floats carry no range in the file: white is the first
    of 1 (floats only), 255 and 65535 that no value exceeds; a picture with larger or negative values is
    stretched from its own darkest to its brightest.
    """
    grey = values.astype(np.float64)
    low, high = float(grey.min()), float(grey.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BrokenPictureError("pixels that are not finite numbers")
    whites = {"F": (1, 255, 65535), "I": (255, 65535)}.get(mode, (65535,))
    fitting = [white for white in whites if low >= 0 and high <= white]
    black, white = (0.0, float(fitting[0])) if fitting else (low, high)
    scaled = (grey - black) * (255 / (white - black) if black < white else 0)
    return np.rint(scaled).astype(np.uint8)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:119] + "…"
