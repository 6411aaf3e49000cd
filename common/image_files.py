"""Opens image files from untrusted sources, applies their EXIF orientation and converts deep grey to 8 bits.

Only the decoders of common formats see the bytes, and an image that is too large is refused from its header,
before any pixel is decoded.
"""

import contextlib
import functools
import importlib
import importlib.util
import io
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import ConfigError
from common.text import one_line

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")  # ISO/IEC 23008-12
_HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
# part of Pillow since 11.3, where it was built with libavif
_HAS_AVIF = importlib.util.find_spec("PIL._avif") is not None
# Two builds of one decoder. pi-heif is installed with the project; pillow-heif, whose wheels also hold an
# encoder under the GPL, is used where someone has only that.
_HEIF_MODULE = next((name for name in ("pi_heif", "pillow_heif") if importlib.util.find_spec(name)), None)
_HAS_HEIF = _HEIF_MODULE is not None
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
    | ({".avif"} if _HAS_AVIF else set())
    | (_HEIF_SUFFIXES if _HAS_HEIF else set())
)
# other decoders start programs (EPS) or were not written for untrusted files
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", *["AVIF"] * _HAS_AVIF, *["HEIF"] * _HAS_HEIF)
# folders that systems add: macOS in zips, Synology's and QNAP's thumbnails, bins
_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "$recycle.bin", "recycler"}
    | {"system volume information", "lost+found"}
)
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "icon\r"})
MAX_PIXELS = 120_000_000  # more than a 108-megapixel phone takes; 360 MB as RGB, in each thread that decodes
LARGEST_MAX_PIXELS = 178_956_970  # Pillow itself refuses to open larger files
MAX_BYTES = 512 * 2**20
_PLANAR_CONFIGURATION, _SEPARATE_PLANES, _BITS_PER_SAMPLE = 284, 2, 258  # TIFF 6.0, section 8
DEEP_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes for grey with more than 8 bits."""

_lock = threading.Lock()
_inside = 0
_filters: contextlib.ExitStack | None = None


class UnreadableError(ValueError):
    """A file is not a readable image; the message says why in a few words, without the file's name."""


def is_passed_over(part: str) -> bool:
    """Whether a file or folder of this name is not the user's: hidden, or made by a system."""
    return part.startswith(".") or part.lower() in _SYSTEM_FOLDERS or part.lower() in _SYSTEM_FILES


def is_picture(name: str) -> bool:
    """Whether a name has the ending of a picture that can be read here."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def kind_of(name: str) -> str:
    """The ending of a name in lower case, by which files that are not read are counted."""
    return PurePosixPath(name).suffix.lower() or "without an ending"


def other_files(kinds: Mapping[str, int], most: int = 6) -> str:
    """`skipped 5 files of other kinds: 4 .heic, 1 .mov`, the most frequent first; '' for none.

    kinds: number of files by `kind_of`.
    """
    total = sum(kinds.values())
    if not total:
        return ""
    ordered = sorted(kinds.items(), key=lambda each: (-each[1], each[0]))
    listed = ", ".join(f"{count:,} {kind}" for kind, count in ordered[:most])
    rest = f", {sum(count for _, count in ordered[most:]):,} others" if len(ordered) > most else ""
    remedy = "" if _HAS_HEIF or not _HEIF_SUFFIXES & set(kinds) else "; `pip install pi-heif` reads .heic"
    return f"skipped {total:,} file{'s' * (total != 1)} of other kinds: {listed}{rest}{remedy}"


@contextlib.contextmanager
def opened(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image and check its header; any error within the block becomes an UnreadableError.

    Raises: UnreadableError for a file that cannot be opened or decoded, is empty, or has more than
    `max_pixels`.
    """
    _register_heif()
    try:
        with quiet_pillow(), Image.open(io.BytesIO(_bytes_of(source)), formats=_FORMATS) as image:
            width, height = image.size
            if width < 1 or height < 1:
                raise UnreadableError(f"{width} x {height} pixels, nothing to see")
            if width * height > max_pixels:
                raise UnreadableError(f"{width} x {height} pixels, over the limit of {max_pixels:,}")
            _refuse_deep_planes(image)
            yield image
    except (UnreadableError, ConfigError):
        raise
    except MemoryError:
        raise UnreadableError("not enough memory to decode it") from None
    except Image.DecompressionBombError:
        raise UnreadableError(f"over the limit of {max_pixels:,} pixels") from None
    except UnidentifiedImageError:
        raise UnreadableError(_unknown_kind(source)) from None
    except Exception as error:  # decoders of damaged files raise nearly anything, down to struct.error
        raise UnreadableError(one_line(error, 120)) from error


def _refuse_deep_planes(image: Image.Image) -> None:
    """Refuse TIFF with a plane per colour of more than 8 bits: Pillow 13 reads it as stripes."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or tags.get(_PLANAR_CONFIGURATION) != _SEPARATE_PLANES:
        return
    bits = tags.get(_BITS_PER_SAMPLE, (1,))
    if max(bits if isinstance(bits, tuple) else (bits,)) > 8:
        raise UnreadableError(
            "a TIFF of 16 bits with separate colour planes; save it interleaved or with 8 bits"
        )


def _unknown_kind(source: Path | bytes) -> str:
    """Why a file that no decoder accepts is not read."""
    start = source[:16] if isinstance(source, bytes) else _start_of(source)
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS and not _HAS_HEIF:
        return "HEIC, which needs `pip install pi-heif`"
    return "not a picture of a known kind"


def _start_of(path: Path) -> bytes:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(16)
    return b""


@functools.cache
def _register_heif() -> None:
    if _HEIF_MODULE is not None:
        importlib.import_module(_HEIF_MODULE).register_heif_opener()


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
