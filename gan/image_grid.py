"""Images as one picture, side by side, and written as PNG, WebP or GIF."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common.errors import require
from common.storage.atomic import replace_file

GAP_PX = 2
SMALL_COLUMNS = 4
SMALL_IMAGES = SMALL_COLUMNS**2
"""Images of a small grid, of which a sweep keeps one a tick."""
_SMALL_WIDEST_PX = 520
TICK_ROWS = TICK_COLUMNS = 8
TICK_IMAGES = TICK_ROWS * TICK_COLUMNS
"""Images of the grid that a run writes after each tick."""
FINE, COARSE = 90, 75
"""Qualities of WebP; with less than the first, colours run into each other in images of 32 pixels."""
_COARSE_FROM_PX = 200
_WIDEST_PX = 1000
_LARGEST_FACTOR = 8
_BACKGROUND = 255


def grid(images: np.ndarray, *, columns: int | None = None, is_enlarged: bool = True) -> np.ndarray:
    """Place images row by row in one picture that is comfortable to look at.

    images: uint8 (N, H, W, C), C 1 or 3; returns uint8 (height, width, C). The layout is nearly square
    unless `columns` says otherwise. Small images are enlarged by a whole factor, at most 8, every pixel a
    square, as far as the picture stays within 1000 pixels of images, unless `is_enlarged` is False; between
    them are gaps of 2 pixels.

    Raises: ConfigError for no images or another shape.
    """
    _check(images)
    require(columns is None or columns >= 1, f"a grid needs at least 1 column, not {columns}")
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    factor = max(1, min(_LARGEST_FACTOR, _WIDEST_PX // (max(columns * width, rows * height))))
    factor = factor if is_enlarged else 1
    large = images.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = height * factor, width * factor
    shape = (rows * (height + GAP_PX) - GAP_PX, columns * (width + GAP_PX) - GAP_PX, channels)
    picture = np.full(shape, _BACKGROUND, np.uint8)
    for index, image in enumerate(large):
        top, left = index // columns * (height + GAP_PX), index % columns * (width + GAP_PX)
        picture[top : top + height, left : left + width] = image
    return picture


def cut_out(picture: np.ndarray, index: int, *, columns: int, side: int) -> np.ndarray:
    """One image of a picture that `grid` made of square images, as large as it is there.

    picture: uint8 (height, width, C). index: place of the image, row by row from 0. side: of the images
    before they were enlarged, in pixels.

    Raises: ConfigError for a picture of another layout, or one with fewer images.
    """
    height, width = picture.shape[:2]
    large, rest = divmod(width + GAP_PX, columns)
    large -= GAP_PX
    top, left = index // columns * (large + GAP_PX), index % columns * (large + GAP_PX)
    require(
        rest == 0 and large >= side and large % side == 0 and 0 <= top <= height - large,
        f"a picture of {width} x {height} pixels has no image {index} of {side} pixels in {columns} columns",
    )
    return picture[top : top + large, left : left + large]


def small_grid(images: np.ndarray) -> bytes:
    """Images in rows of 4, pixel for pixel, as a WebP file's content: of 16 at 32 pixels a side 4 to 11 kB.

    images: uint8 (N, H, W, C), C 1 or 3. Of 128 pixels a side they take up to 70 kB; a picture wider than 520
    pixels is shrunk by a whole factor.
    """
    picture = picture_of(grid(images, columns=SMALL_COLUMNS, is_enlarged=False))
    picture = picture.reduce(math.ceil(picture.width / _SMALL_WIDEST_PX))
    return webp_bytes(picture, FINE if picture.width < _COARSE_FROM_PX else COARSE)


def webp_bytes(picture: Image.Image, quality: int = FINE) -> bytes:
    """A picture as a WebP file's content. quality: of 100; with 75 the losses show when it is enlarged."""
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=quality, method=2)
    return buffer.getvalue()


def png_bytes(image: np.ndarray) -> bytes:
    """One image, uint8 (H, W, C) with C 1 or 3, as a PNG file's content."""
    buffer = io.BytesIO()
    picture_of(image).save(buffer, format="PNG")
    return buffer.getvalue()


def write_png(path: Path, image: np.ndarray) -> None:
    """Write one image, uint8 (H, W, C) with C 1 or 3, completely or not at all.

    Raises: WriteError when it cannot be written.
    """
    replace_file(path, png_bytes(image))


def write_gif(path: Path, frames: Sequence[np.ndarray], *, frame_ms: int = 60) -> None:
    """Write frames, each uint8 (H, W, C), as a GIF that plays for ever; completely or not at all.

    frame_ms: time that a frame is shown in milliseconds; GIF counts in steps of 10. Equal frames in a row are
    stored as one that is shown for longer.

    Raises: ConfigError for no frames; WriteError when it cannot be written.
    """
    require(len(frames) >= 1, "a GIF needs at least 1 frame, not 0")
    first, *rest = (picture_of(frame) for frame in frames)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": frame_ms, "loop": 0}
    first.save(buffer, format="GIF", **options)
    replace_file(path, buffer.getvalue())


def picture_of(image: np.ndarray) -> Image.Image:
    """One image, uint8 (H, W, C) with C 1 or 3, as Pillow's."""
    _check(image[None])
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def _check(images: np.ndarray) -> None:
    require(
        images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] in (1, 3) and images.size > 0,
        f"pictures must be uint8 (N, H, W, 1 or 3), at least one, not {images.dtype} {images.shape}",
    )
