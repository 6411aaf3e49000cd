"""Opening a picture file that may be anything, and what both halves do to its pixels first; not its size.

Only the decoders of common kinds are offered the bytes, and what is too large to be trusted is refused from
the header, before any pixel is decoded.
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
# others start programs (EPS) or were never meant for strangers
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")
MAX_PIXELS = 120_000_000  # a 108-megapixel phone's pictures pass; decoded as RGB 360 MB a thread
LARGEST_MAX_PIXELS = 178_956_970  # above it Pillow itself refuses to open a file
MAX_BYTES = 512 * 2**20
DEEP_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of grey with more than 8 bits."""

_lock = threading.Lock()
_inside = 0
_filters: contextlib.ExitStack | None = None


class UnreadableError(ValueError):
    """A file that is no picture we can read; the message says why in a few words, without a name."""


@contextlib.contextmanager
def opened(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The picture with its header read and checked; whatever goes wrong in the block is an UnreadableError.

    Raises: UnreadableError for what cannot be opened or decoded, is empty, or has more than `max_pixels`.
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
    """Turned and mirrored as its EXIF orientation says; as it lies when the EXIF data are damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the picture itself was read well: its metadata must not cost it
        return image


def grey_to_8_bits(values: npt.NDArray[np.generic], mode: str) -> npt.NDArray[np.uint8]:
    """Deep grey as uint8, rounded.

    16-bit integers: 65535 is white. 32-bit integers and floats carry no range in the file: white is the first
    of 1 (floats only), 255 and 65535 that no value exceeds; a picture with larger or negative values is
    stretched from its own darkest to its brightest.

    Raises: UnreadableError for values that are not finite.
    """
    grey = values.astype(np.float64)
    low, high = float(grey.min()), float(grey.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnreadableError("pixels that are not finite numbers")
    whites = {"F": (1, 255, 65535), "I": (255, 65535)}.get(mode, (65535,))
    fitting = [white for white in whites if low >= 0 and high <= white]
    black, white = (0.0, float(fitting[0])) if fitting else (low, high)
    scaled = (grey - black) * (255 / (white - black) if black < white else 0)
    return np.rint(scaled).astype(np.uint8)


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Hold back Pillow's warnings about odd files within the block.

    Python's warning filters are the whole process's: the first thread to come sets them, the last to go puts
    back what it found. Each thread for itself would leave filters behind.
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
            raise UnreadableError("a link to nowhere" if file.is_symlink() else "no such file")
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
