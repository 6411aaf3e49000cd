"""Reads a picture for its role in a style transfer: a batch and a notebook get the same pixels."""

import numpy as np
from PIL import Image

from styletransfer.config import StyleConfig
from styletransfer.pictures.reading import (
    Picture,
    PictureSource,
    read_picture,
    read_size,
    require_visible,
)
from styletransfer.pictures.resizing import Pixels, fitted_size, on_black


def read_content(source: PictureSource, config: StyleConfig, *, name: str | None = None) -> Picture:
    """A content at its final size.

    Raises: PictureError for what cannot be read; `name` is what it calls the picture, by default its path.
    """
    return read_picture(source, name=name, long_side_px=_long_side(source, config, name), enlarge=True)


def read_style(source: PictureSource, config: StyleConfig, *, name: str | None = None) -> Picture:
    """A style, no larger than its statistics are taken.

    Raises: PictureError for what cannot be read, and for what is clear everywhere.
    """
    picture = read_picture(source, name=name, long_side_px=max(1, round(config.size * config.style_scale)))
    require_visible(picture, source, name)
    return picture


def read_start(source: PictureSource, config: StyleConfig, *, name: str | None = None) -> Pixels:
    """A start (H, W, 3), on white.

    Raises: PictureError for what cannot be read.
    """
    return read_picture(source, name=name, long_side_px=_long_side(source, config, name)).on_white()


def read_mask(source: PictureSource, config: StyleConfig, *, name: str | None = None) -> Pixels:
    """A mask (H, W), 255 where it is white, 0 where it is black or clear.

    Its values are averaged as they are, not as light: half a white pixel is half of a style.

    Raises: PictureError for what cannot be read.
    """
    picture = read_picture(source, name=name)
    grey = np.array(Image.fromarray(picture.rgb).convert("L"))
    if picture.alpha is not None:
        grey = on_black(grey, picture.alpha)
    width, height = picture.size_px
    size = fitted_size(picture.size_px, round(config.longer_side(height, width)))
    return np.array(Image.fromarray(grey).resize(size, Image.Resampling.BOX))


def _long_side(source: PictureSource, config: StyleConfig, name: str | None) -> int:
    """Longer side of what is made from the picture."""
    if config.size_of == "longer":
        return config.size
    width, height = read_size(source, name=name)
    return round(config.longer_side(height, width))
