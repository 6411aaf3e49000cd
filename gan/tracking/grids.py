"""Reads stored grids of samples for trackers."""

import io

import numpy as np
from PIL import Image

from common.errors import ConfigError
from common.storage.folder import Folder


def read_grid(folder: Folder, name: str) -> np.ndarray | None:
    """The picture in a file, see `decoded`; None where there is none that can be read."""
    try:
        data = folder.read(name)
    except ConfigError:
        return None
    return None if data is None else decoded(data)


def decoded(data: bytes) -> np.ndarray | None:
    """The picture in a file's content, uint8 (H, W, C) with C 1 or 3; None where it is no picture."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))
    except (OSError, ValueError):
        return None
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
