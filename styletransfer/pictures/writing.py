"""Encodes pictures as PNG, JPEG, WebP or TIFF with their settings inside, and reads these back."""

import dataclasses
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal, get_args

from PIL import Image, PngImagePlugin

from common.errors import ConfigError, require, require_between
from common.image_files import LARGEST_MAX_PIXELS
from common.storage.folder import Folder
from common.text import printable
from styletransfer.pictures.reading import opened_picture
from styletransfer.pictures.resizing import Pixels, on_white

Format = Literal["png", "jpeg", "webp", "tiff"]

SUFFIX: Mapping[Format, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
_FORMAT_OF_SUFFIX: Mapping[str, Format] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
}
SUFFIXES = tuple(_FORMAT_OF_SUFFIX)
_MAX_SIDE_PX: Mapping[Format, int] = {"jpeg": 65_500, "webp": 16_383}

_KEY = "styletransfer"
_SOFTWARE = 0x0131
_IMAGE_DESCRIPTION = 0x010E
_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_ASCII = b"ASCII\0\0\0"  # EXIF 2.3, 4.6.5, table 9
_MAX_RECORD_BYTES = 60_000  # JPEG's EXIF segment holds 65,533


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A picture's file."""

    data: bytes
    notes: tuple[str, ...] = ()
    """What the format could not keep."""


def format_of(name: str) -> Format:
    """The format of a file name by its ending.

    Raises: ConfigError for an ending whose format cannot be written.
    """
    suffix = PurePosixPath(name).suffix.lower()
    require(
        suffix in _FORMAT_OF_SUFFIX,
        f"{printable(name)} must end in one of {' '.join(SUFFIXES)}; add the ending",
    )
    return _FORMAT_OF_SUFFIX[suffix]


def check_size(format: Format, size_px: tuple[int, int]) -> None:
    """Raise `ConfigError` unless the format can hold a picture of that (width, height)."""
    largest = _MAX_SIDE_PX.get(format, 2**31 - 1)
    width, height = size_px
    require(
        max(width, height) <= largest,
        f"{format} holds at most {largest} pixels a side, not {width} x {height}; choose png or tiff",
    )


def encode_picture(
    rgb: Pixels, alpha: Pixels | None, settings: Mapping[str, Any], *, format: Format, quality: int = 95
) -> Encoded:
    """Encode pixels as a file of `format` that contains `settings`, which `read_settings` returns.

    rgb: (H, W, 3) sRGB; alpha: (H, W) or None. `quality` in [1, 100] applies to JPEG and WebP; PNG and TIFF
    are lossless. JPEG has no alpha: the picture is composed on white. Paths and URLs in `settings` are cut
    to their last part, and numbers that are not finite become null.

    Raises: ConfigError when the format cannot hold the size, or the settings are too long.
    """
    require(
        format in get_args(Format), f"--format must be one of {', '.join(get_args(Format))}, not {format}"
    )
    require_between("--quality", quality, 1, 100)
    check_size(format, (rgb.shape[1], rgb.shape[0]))
    notes: tuple[str, ...] = ()
    if alpha is not None and format == "jpeg":
        rgb, alpha = on_white(rgb, alpha), None
        notes = ("JPEG has no transparency: laid on white",)
    image = Image.fromarray(rgb)
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    record = json.dumps(_portable(settings), allow_nan=False, separators=(",", ":"))
    require(
        len(record) <= _MAX_RECORD_BYTES,
        f"the settings have {len(record)} bytes, a picture holds at most {_MAX_RECORD_BYTES}; leave some out",
    )
    file = io.BytesIO()
    image.save(file, format, **_options(format, record, quality))
    return Encoded(file.getvalue(), notes)


def write_picture(
    folder: Folder,
    name: str,
    rgb: Pixels,
    alpha: Pixels | None,
    settings: Mapping[str, Any],
    *,
    quality: int = 95,
) -> tuple[str, ...]:
    """Write the picture atomically in the format of `name`'s ending; returns notes on what was lost.

    Raises: ConfigError as `encode_picture`; WriteError when the disk is full or the like.
    """
    encoded = encode_picture(rgb, alpha, settings, format=format_of(name), quality=quality)
    folder.write(name, encoded.data)
    return encoded.notes


def read_settings(source: Path | str | bytes, *, name: str | None = None) -> dict[str, Any]:
    """The settings inside a picture of `encode_picture`.

    Raises: PictureError when it is not a picture; ConfigError when it contains no settings.
    """
    with opened_picture(source, name, LARGEST_MAX_PIXELS) as image:
        if image.format == "PNG":
            image.load()  # text may follow the pixels
            text = image.info.get(_KEY)
        elif image.format == "TIFF":
            text = image.getexif().get(_IMAGE_DESCRIPTION)
        else:
            comment = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
            text = comment.removeprefix(_ASCII) if isinstance(comment, bytes) else comment
    try:
        record = json.loads(text or "")[_KEY]
        if not isinstance(record, dict):
            raise ValueError("no table")
    except (ValueError, TypeError, KeyError):
        label = printable(name or (str(source) if not isinstance(source, bytes) else "the picture"))
        raise ConfigError(f"{label} holds no settings; give a picture that styletransfer made") from None
    return record


def _options(format: Format, record: str, quality: int) -> dict[str, Any]:
    text = f'{{"{_KEY}":{record}}}'
    if format == "png":
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", _KEY)
        info.add_text(_KEY, text)
        return {"pnginfo": info, "compress_level": 6}
    if format == "tiff":
        return {
            "compression": "tiff_adobe_deflate",
            "tiffinfo": {_IMAGE_DESCRIPTION: text, _SOFTWARE: _KEY},
        }
    exif = Image.Exif()
    exif[_SOFTWARE] = _KEY
    exif[_EXIF_IFD] = {_USER_COMMENT: _ASCII + text.encode("ascii")}
    if format == "webp":
        return {"exif": exif, "quality": quality, "method": 4, "alpha_quality": 100}
    # 4:4:4: brush strokes are as fine in colour as in brightness
    return {"exif": exif, "quality": quality, "subsampling": 0, "optimize": True}


def _portable(value: Any) -> Any:
    """`value` for JSON, without the folders of absolute paths and of URLs, which may hold passwords."""
    if isinstance(value, Mapping):
        return {str(key): _portable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_portable(inner) for inner in value]
    if isinstance(value, (str, PurePath)):
        text = str(value)
        is_absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
        return (
            text.replace("\\", "/").rstrip("/").rpartition("/")[2] if is_absolute or "://" in text else text
        )
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
