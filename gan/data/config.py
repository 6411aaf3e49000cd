"""Where the images come from, and how pictures of any shape become the squares that are trained on."""

import contextlib
import dataclasses
from typing import Annotated, Literal

import tyro

from common.errors import ConfigError, require, require_between

NAMED_SOURCES = ("shapes", "mnist", "fashion-mnist", "stacked-mnist", "cifar10", "celeba")
_DIGITS = ("mnist", "stacked-mnist")
_SMALL = tuple(name for name in NAMED_SOURCES if name != "celeba")
BORDER = "border"
MOST_CROPS = 100

Resolution = Literal[16, 32, 64, 128, 256, 512]
Fit = Literal["crop", "pad"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the images come from and how they are prepared for training."""

    source: Annotated[str, tyro.conf.arg(name="data")] = "shapes"
    """shapes (rendered, no download), mnist, fashion-mnist, stacked-mnist (three digits as red, green and
    blue), cifar10, celeba, or a folder, zip, tar or URL (s3://bucket/path) of images."""
    root: Annotated[str | None, tyro.conf.arg(name="data-root")] = None
    """Folder of torchvision's data sets, also for downloads; default: the cache folder."""
    download: bool = False
    """Allow torchvision to download a data set that is not in the data root."""
    resolution: Resolution = 32
    """Side of the square training images in pixels. At 512 the built-in shapes take 9 GB and minutes to
    render, unless --max-images asks for fewer."""
    fit: Fit = "crop"
    """How a picture of another shape becomes a square. crop: its shorter side is resized, then it is cropped
    at the centre; pad: its longer side is resized, the rest is filled with --pad-colour."""
    pad_colour: str = BORDER
    """For --fit pad: border (the mean of the picture's two edges beside the bars) or one colour for all, such
    as white or #806040."""
    crops: int = 1
    """Squares from each picture. Above 1 they are cut at random places, with sides from half of the picture's
    shorter side to all of it; of held-out pictures none is trained on."""
    flip: bool = False
    """Show each image mirrored half of the time; not for text, or where left and right differ. Quality is
    then measured against real images half of which are mirrored."""
    colour: Literal["auto", "grey", "rgb"] = "auto"
    """Channels to train on; auto: grey when every picture is grey."""
    max_images: int | None = None
    """Use only so many pictures, spread evenly over all; for shapes, how many to render (default 12,000), for
    stacked-mnist, how many to stack (default 130,000)."""
    held_out: int = 2000
    """Images kept from training to measure quality against; at most a fifth of all, with --crops all of a
    picture or none. Where that is fewer than 16, quality is measured against half of all."""
    max_broken: float = 0.05
    """Share of unreadable files above which the data are refused, 0 to 1."""
    data_seed: int = 0
    """Seed of the rendered shapes, of the digits that are stacked, of --crops and of the choice of held-out
    images; not varied by a sweep."""
    cache: Annotated[str | None, tyro.conf.arg(name="cache-dir")] = None
    """Folder of the decoded arrays; default: $XDG_CACHE_HOME/artsweep or ~/.cache/artsweep."""

    def __post_init__(self) -> None:
        require(
            bool(self.source.strip()),
            "--data must name a data set, a folder or an archive, not ''; try shapes",
        )
        self._check_preparation()
        require(
            self.max_images is None or self.max_images >= 2,
            f"--max-images must be at least 2, not {self.max_images}; leave it out to use all",
        )
        require(self.held_out >= 1, f"--held-out must be at least 1, not {self.held_out}; try 2000")
        require_between("--max-broken", self.max_broken, 0, 1)
        require(self.data_seed >= 0, f"--data-seed must not be negative, not {self.data_seed}; try 0")

    def _check_preparation(self) -> None:
        require(
            self.fit == "pad" or self.pad_colour == BORDER,
            f"--pad-colour {self.pad_colour} has no meaning without --fit pad; add that or leave it out",
        )
        if self.pad_colour != BORDER:
            rgb_of(self.pad_colour)
        require(
            1 <= self.crops <= MOST_CROPS,
            f"--crops must lie between 1 and {MOST_CROPS}, not {self.crops}; try 4",
        )
        require(
            self.crops == 1 or self.fit == "crop",
            f"--crops {self.crops} cuts squares, which leaves nothing for --fit pad; leave one of them out",
        )
        require(
            self.crops == 1 or self.source not in _SMALL,
            f"--crops {self.crops} needs large pictures, which --data {self.source} has not; leave it out",
        )
        require(
            not self.flip or self.source not in _DIGITS,
            f"--flip would mirror the digits of --data {self.source}; leave it out",
        )


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour as CSS names or writes it.

    Raises: ConfigError for text that is no colour, and for one that is partly transparent.
    """
    from PIL import ImageColor  # only where a colour is given: --help stays quick

    with contextlib.suppress(ValueError):
        rgb = ImageColor.getrgb(colour)
        if len(rgb) == 3:  # the fourth number would be the opacity
            return rgb
    raise ConfigError(
        f"--pad-colour must be {BORDER} or an opaque colour, not {colour!r}; try white or #806040"
    )
