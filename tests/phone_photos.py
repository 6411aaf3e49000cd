"""Photos as phones write them, HEIC and AVIF: stored as the sensor saw them, with a note how to turn them."""

import io
from typing import Literal

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image, features

Kind = Literal["heic", "avif"]
KINDS: tuple[Kind, ...] = ("heic", "avif")


def quarters(height: int, width: int) -> npt.NDArray[np.uint8]:
    """RGB (height, width, 3) of four colours, which tells every turn and reflection from the others."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = (220, 30, 30), (30, 200, 40)
    pixels[height // 2 :, : width // 2], pixels[height // 2 :, width // 2 :] = (30, 40, 210), (230, 230, 230)
    return pixels


def phone_photo(pixels: npt.NDArray[np.uint8], kind: Kind, orientation: int = 1) -> bytes:
    """A file of RGB or RGBA pixels (H, W, C), which the EXIF orientation turns.

    As in a phone's file, the turn stands there twice: as a transformation of the container, which decoders
    apply, and in the EXIF data. Skips the test where Pillow was built without AVIF.
    """
    exif, file = Image.Exif(), io.BytesIO()
    exif[274] = orientation
    if kind == "avif":
        if not features.check("avif"):
            pytest.skip("this Pillow was built without AVIF")
        Image.fromarray(pixels).save(file, "AVIF", exif=exif.tobytes(), quality=90)
    else:
        height, width, channels = pixels.shape
        mode = "RGBA" if channels == 4 else "RGB"
        # its plugin is not registered: the project's own decoder shall read the file
        pillow_heif.encode(mode, (width, height), pixels.tobytes(), file, exif=exif.tobytes(), quality=90)
    written = file.getvalue()
    assert (b"irot" in written) == (orientation in (3, 5, 6, 7, 8))
    return written
