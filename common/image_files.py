"""Opens image files from untrusted sources, applies their EXIF orientation and converts deep grey to 8 bits.

Only the decoders of common formats see the bytes, and an image that is too large is refused from its header,
before any pixel is decoded.
"""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import ConfigError
from common.text import one_line

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
)
# other decoders start programs (EPS) or were not written for untrusted files
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")
MAX_PIXELS = 120_000_000  # more than a 108-megapixel phone takes; 360 MB as RGB, in each thread that decodes
LARGEST_MAX_PIXELS = 178_956_970  # Pillow itself refuses to open larger files
MAX_BYTES = 512 * 2**20
DEEP_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes for grey with more than 8 bits."""

_lock = threading.Lock()
_inside = 0
_filters: contextlib.ExitStack | None = None


class UnreadableError(ValueError):
    """A file is not a readable image; the message says why in a few words, without the file's name."""


@contextlib.contextmanager
def opened(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image and check its header; any error within the block becomes an UnreadableError.

    Raises: UnreadableError for a file that cannot be opened or decoded, is empty, or has more than
    `max_pixels`.
    """
    try:
        with quiet_pillow(), Image.open(io.BytesIO(_bytes_of(source)), formats=_FORMATS) as image:
            width, height = image.size
            if width < 1 or height < 1:
                raise UnreadableError(f"{width} x {height} pixels, nothing to see")
            if width * height > max_pixels:
                raise UnreadableError(f"{width} x {height} pixels, over the limit of {max_pixels:,}")
            yield image
    except (UnreadableError, ConfigError):
        raise
    except MemoryError:
        raise UnreadableError("not enough memory to decode it") from None
    except Image.DecompressionBombError:
        raise UnreadableError(f"over the limit of {max_pixels:,} pixels") from None
    except UnidentifiedImageError:
        raise UnreadableError("not a picture of a known kind") from None
    except Exception as error:  # decoders of damaged files raise nearly anything, down to struct.error
        raise UnreadableError(one_line(error, 120)) from error


def upright(image: Image.Image) -> Image.Image:
    """The image with its EXIF orientation applied; unchanged where the EXIF data are damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged metadata must not cost a picture that can be read
        return image


def grey_to_8_bits(values: npt.NDArray[np.generic], mode: str) -> npt.NDArray[np.uint8]:
    """Convert grey with more than 8 bits to uint8, rounded.

    16-bit integers: white is 65535. Files of 32-bit integers and floats do not say their range: white is the
    smallest of 1 (floats only), 255 and 65535 that is not below any value; an image with larger or negative
    values is stretched from its minimum to its maximum.

    Raises: UnreadableError for NaN and infinity.
    """
    grey = values.astype(np.float64)
    low, high = float(grey.min()), float(grey.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnreadableError("pixels that are NaN or infinite")
    whites = {"F": (1, 255, 65535), "I": (255, 65535)}.get(mode, (65535,))
    fitting = [white for white in whites if low >= 0 and high <= white]
    black, white = (0.0, float(fitting[0])) if fitting else (low, high)
    scaled = (grey - black) * (255 / (white - black) if black < white else 0)
    return np.rint(scaled).astype(np.uint8)


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings about odd files within the block, in all threads.

    Python's warning filters belong to the process: the first thread that enters sets them, the last that
    leaves restores them. If each thread did both, some filters would remain.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _filters
    with _lock:
        if _inside == 0:
            _filters = contextlib.ExitStack()
            _filters.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        _inside += 1


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0 and _filters is not None:
            _filters.close()


def _bytes_of(file: Path | bytes) -> bytes:
    if not isinstance(file, bytes):
        if not file.exists():
            raise UnreadableError("a broken link" if file.is_symlink() else "no such file")
        if not file.is_file():  # a named pipe would wait for ever
            raise UnreadableError("not a regular file")
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise UnreadableError(f"{size:,} bytes, over the limit of {MAX_BYTES:,}")
        file = file.read_bytes()
    if not file:
        raise UnreadableError("an empty file")
    if len(file) > MAX_BYTES:
        raise UnreadableError(f"{len(file):,} bytes, over the limit of {MAX_BYTES:,}")
    return file
