"""One picture file of any common kind as a square of 8-bit RGB.

Conventions: EXIF orientation is applied, colour profiles are not; transparent pixels are composited on white;
of an animation the first frame is read; 16-bit and floating-point grey is scaled by `common.image_files`.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from common.image_files import DEEP_GREY, grey_to_8_bits, opened, upright


def read_picture(file: Path | bytes, resolution: int) -> npt.NDArray[np.uint8]:
    """Read one picture as (resolution, resolution, 3) uint8 RGB.

    Raises: UnreadableError for a file that cannot be opened or decoded, or is suspiciously large.
    """
    with opened(file) as image:
        if image.format == "JPEG" and image.mode in ("L", "RGB"):
            # libjpeg shrinks while it decodes; the last factor of 2 is left to the better filter below
            image.draft(None, (2 * resolution, 2 * resolution))
        image.load()
        return to_square(upright(image), resolution)


def to_square(image: Image.Image, resolution: int) -> npt.NDArray[np.uint8]:
    """Shorter side resized to `resolution`, centre cropped: (resolution, resolution, 3) uint8 RGB."""
    image = _to_rgb(image)
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    if side != resolution or width != height:
        # cropped and resized in one call, so that a picture of 1 x 1,000,000 pixels is never enlarged
        image = image.resize(
            (resolution, resolution),
            Image.Resampling.LANCZOS,
            box=(left, top, left + side, top + side),
            reducing_gap=3.0,
        )
    return np.asarray(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in DEEP_GREY:
        image = Image.fromarray(grey_to_8_bits(np.asarray(image), image.mode))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
