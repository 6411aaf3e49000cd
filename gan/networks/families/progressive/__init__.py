"""small images first, then larger ones: layers are faded in as training goes on (Karras et al. 2018).

Both networks begin with images of 8 x 8 pixels. After `--stable-images` the layers that double the side are
faded in over `--fade-images`, and so on up to the resolution. Batches become smaller as images grow, as in
the paper's appendix A.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from common.errors import require
from gan.networks.families._built import SIDES, built_from
from gan.networks.growth.schedule import SMALLEST_IMAGE, Schedule, schedule_to

if TYPE_CHECKING:
    from gan.config import GanConfig, NetworkConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the family."""

    EARLIER: ClassVar[Mapping[str, Any]] = {"full_batch_side": 512}

    stable_images: int = 20_000
    """For progressive: real images shown at each side before the next one begins."""
    fade_images: int = 20_000
    """For progressive: real images shown while the layers of a larger side are faded in."""
    full_batch_side: int = 32
    """For progressive: side in pixels up to which batches are whole; each side above it, up to 512, halves
    them, for the memory."""

    def __post_init__(self) -> None:
        for name, images in (("stable", self.stable_images), ("fade", self.fade_images)):
            require(
                0 <= images <= 10**12,
                f"--{name}-images must lie between 0 and 10^12, not {images}; try 20000",
            )
        sides = (SMALLEST_IMAGE, *SIDES)
        require(
            self.full_batch_side in sides,
            f"--full-batch-side must be one of {', '.join(map(str, sides))}, not {self.full_batch_side}; "
            "try 32, or 512 for whole batches throughout",
        )


def schedule_of(config: "NetworkConfig", resolution: int) -> Schedule:
    """When the networks of these settings grow."""
    assert isinstance(config, Settings), "a NetworkConfig has the settings of every family"
    return schedule_to(resolution, stable=config.stable_images, fade=config.fade_images)


def batch_divisors(config: "NetworkConfig", resolution: int) -> tuple[tuple[int, int], ...]:
    """The batch is halved with each side over `full_batch_side`."""
    assert isinstance(config, Settings), "a NetworkConfig has the settings of every family"
    return schedule_of(config, resolution).batch_divisors(config.full_batch_side)


def remarks(config: "GanConfig") -> list[str]:
    """That the run ends before it is grown, and how its batch changes."""
    side, said = config.data.resolution, []
    schedule = schedule_of(config.network, side)
    if config.images < schedule.images():
        said.append(
            f"images of {side} x {side} pixels are drawn after {schedule.images():,} images, and "
            f"{config.images:,} are trained; more of them, or a smaller --stable-images or --fade-images, "
            "would reach that"
        )
    batches = config.batches()
    if batches.last < config.batch:
        sizes = [batches.at(schedule.begin_of_fade(level)) for level in range(len(schedule.sides))]
        first = sizes.count(config.batch) - 1
        steps = [
            f"{batch} at {side} x {side}"
            for batch, side in zip(sizes[first:], schedule.sides[first:], strict=True)
        ]
        said.append(f"batches become smaller as images grow: {', '.join(steps)} pixels")
    return said


FAMILY = built_from(
    "gan.networks.families.progressive.networks",
    recomputes=True,
    batch_divisors=batch_divisors,
    remarks=remarks,
)
