"""What a gallery holds: pictures of a generator, and how near its samples are to the training pictures."""

import dataclasses
import io
from pathlib import Path

from PIL import Image

from gan.image_grid import webp_bytes
from gan.training.health.rules import COPIES

GALLERY_PARTS = Path(__file__).parent
"""Folder of `gallery.html.jinja`, whose parts show a gallery in any page."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nearest:
    """A picture beside the training pictures that it is nearest to."""

    strip: bytes
    """A WebP file's content: from the left the picture itself, a gap, and the nearest ones, nearest first."""
    distance: float
    """To the nearest one, over the median of what it is for pictures that the generator has not seen: near 1
    for a new picture, near 0 for a copy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gallery:
    """Pictures that show a generator."""

    grid: bytes
    """64 samples in rows of 8, a WebP file's content; the same as those of `gan sample`."""
    walk: bytes
    """A walk between latents and back to the first, four side by side: an animated WebP file's content."""
    nearest: tuple[Nearest, ...] = ()
    """The first samples of the grid."""
    held_out: tuple[Nearest, ...] = ()
    """For reference, real pictures that the generator was not trained on."""
    memorization: float | None = None
    """How near many samples are to the training pictures: about 1 as new pictures are, 0 for copies."""
    memorization_noise: float | None = None
    """The same of real pictures that the generator was not trained on."""
    searched: int = 0
    """Training pictures among which the nearest were looked for."""
    training_pictures: int = 0
    missing: str = ""
    """Why there are no nearest pictures, in one line; empty where there are."""

    def walk_still(self) -> bytes:
        """The walk's first picture, a WebP file's content."""
        with Image.open(io.BytesIO(self.walk), formats=["WEBP"]) as frames:
            return webp_bytes(frames.convert("RGB"))

    def meaning(self) -> str:
        """What the memorization says, in one or two sentences; empty where it is not known."""
        if self.memorization is None or self.memorization_noise is None:
            return ""
        times = (
            f"Samples are {self.memorization:.2f} times as far from the training pictures as new pictures "
            f"are (real ones that it has not seen: {self.memorization_noise:.2f}); distances above the usual "
            "one of new pictures are counted as that, so that strange samples hide no copies"
        )
        if self.memorization < COPIES:
            return f"{times}: the generator copies. Give more pictures, or augment them."
        if self.memorization < 0.85 * min(1.0, self.memorization_noise):
            return (
                f"{times}: nearer than new ones, as where a generator makes the most common kinds of "
                "pictures, or begins to copy. Look at the rows with the smallest numbers."
            )
        return f"{times}: no sign of copies."
