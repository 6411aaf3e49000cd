"""One picture file of any common kind as squares of 8-bit RGB.

Conventions: EXIF orientation is applied, colour profiles are not; transparent pixels are composited on white;
of an animation the first frame is read; 16-bit and floating-point grey is scaled by `common.image_files`.
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from common.image_files import DEEP_GREY, UnreadableError, grey_to_8_bits, opened, upright
from gan.data.config import BORDER, DataConfig, Fit, rgb_of

SMALLEST_CROP = 0.5
"""Side of the smallest random crop, as a share of the picture's shorter side: such a square still shows a
part of the scene, where smaller ones of a painting would be brushwork."""
CROPS, FLIPS = 1, 2
"""What random numbers are for: the first part of their seed."""


class Squares(NamedTuple):
    """What is made of one picture."""

    pixels: npt.NDArray[np.uint8]
    """(crops, resolution, resolution, 3) RGB."""
    is_enlarged: bool = False
    """Whether the file has too few pixels for the resolution."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Framing:
    """How a picture of any shape becomes squares; see the settings of these names in `DataConfig`."""

    resolution: int
    fit: Fit = "crop"
    pad_colour: str = BORDER
    crops: int = 1
    seed: int = 0
    """Decides the places and sides of random crops."""

    @classmethod
    def of(cls, config: DataConfig) -> Self:
        """The framing that a run's settings ask for."""
        return cls(
            resolution=config.resolution,
            fit=config.fit,
            pad_colour=config.pad_colour,
            crops=config.crops,
            seed=config.data_seed,
        )

    @property
    def useful_px(self) -> int:
        """Side in pixels to which a decoder may shrink a picture.

        Twice that of its smallest square, since the last factor of 2 is left to a better filter.
        """
        return 2 * self.resolution if self.crops == 1 else round(2 * self.resolution / SMALLEST_CROP)

    def squares(self, image: Image.Image, place: int) -> Squares:
        """The squares of an upright picture; place: its number in the source, for the seed.

        Raises: UnreadableError for a picture that is too small for random crops.
        """
        image = _to_rgb(image)
        shown = max(image.size) if self.fit == "pad" else min(image.size)
        if self.crops > 1:
            pixels = self._random_crops(image, place)
        else:
            pixels = (self._padded(image) if self.fit == "pad" else self._centre(image))[None]
        return Squares(pixels, is_enlarged=shown < self.resolution)

    def _centre(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        width, height = image.size
        side = min(width, height)
        return self._resized(image, (width - side) / 2, (height - side) / 2, side)

    def _random_crops(self, image: Image.Image, place: int) -> npt.NDArray[np.uint8]:
        width, height = image.size
        shorter = min(width, height)
        if shorter < self.resolution:
            raise UnreadableError(
                f"{width} x {height} pixels, too small for --crops {self.crops} of {self.resolution} pixels"
            )
        # A decoder may have shrunk the picture, but not so far that its smallest crop is the resolution: the
        # same numbers are the same crops. Floats, whose draws do not change with NumPy's version.
        least = max(self.resolution, SMALLEST_CROP * shorter)
        drawn = np.random.Generator(np.random.Philox([CROPS, self.seed, place])).random((self.crops, 3))
        sides = least + drawn[:, 0] * (shorter - least)
        lefts, tops = drawn[:, 1] * (width - sides), drawn[:, 2] * (height - sides)
        return np.stack([self._resized(image, *box) for box in zip(lefts, tops, sides, strict=True)])

    def _resized(self, image: Image.Image, left: float, top: float, side: float) -> npt.NDArray[np.uint8]:
        whole = (left, top, side, side) == (0, 0, *image.size)
        if side != self.resolution or not whole:
            # cropped and resized in one call, so that a picture of 1 x 1,000,000 pixels is never enlarged
            box = (left, top, min(left + side, image.width), min(top + side, image.height))
            image = _resize(image, (self.resolution, self.resolution), box)
        return np.asarray(image)

    def _padded(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """The whole picture in the middle, with bars of one colour beside it.

        Never the edge repeated or reflected: a generator learns such streaks and mirrors as part of the
        pictures. The mean of the two edges makes the faintest contour beside them that one colour can.
        """
        side, longer = self.resolution, max(image.size)
        width, height = (max(1, round(each * side / longer)) for each in image.size)
        left, top = (side - width) // 2, (side - height) // 2
        pixels = np.asarray(_resize(image, (width, height), (0, 0, *image.size)))
        edges = pixels[:, [0, -1]] if width < height else pixels[[0, -1]]
        colour = edges.mean(axis=(0, 1)).round() if self.pad_colour == BORDER else rgb_of(self.pad_colour)
        square = np.empty((side, side, 3), np.uint8)
        square[:] = colour
        square[top : top + height, left : left + width] = pixels
        return square


def read_squares(file: Path | bytes, framing: Framing, place: int = 0) -> Squares:
    """Read one picture; place: its number in the source.

    Raises: UnreadableError for a file that cannot be opened or decoded, is suspiciously large, or too small
    for random crops.
    """
    with opened(file) as image:
        if image.format == "JPEG" and image.mode in ("L", "RGB"):
            image.draft(None, (framing.useful_px, framing.useful_px))  # libjpeg shrinks while it decodes
        image.load()
        return framing.squares(upright(image), place)


def _resize(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in DEEP_GREY:
        values, clear = np.asarray(image), image.info.get("transparency")  # PNG's one grey that is not seen
        grey = grey_to_8_bits(values, image.mode)
        image = Image.fromarray(grey if clear is None else np.where(values == clear, np.uint8(255), grey))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
