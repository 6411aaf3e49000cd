"""small images first, then larger ones: layers are faded in as training goes on (Karras et al. 2018).

Both networks begin with images of 8 x 8 pixels. After `--stable-images` the layers that double the side are
faded in over `--fade-images`, and so on up to the resolution.
"""

import dataclasses
from typing import TYPE_CHECKING

from common.errors import require
from gan.networks.families._built import built_from

if TYPE_CHECKING:
    from gan.config import NetworkConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the family."""

    stable_images: int = 20_000
    """For progressive: real images shown at each side before the next one begins."""
    fade_images: int = 20_000
    """For progressive: real images shown while the layers of a larger side are faded in."""

    def __post_init__(self) -> None:
        for name, images in (("stable", self.stable_images), ("fade", self.fade_images)):
            require(
                0 <= images <= 10**12,
                f"--{name}-images must lie between 0 and 10^12, not {images}; try 20000",
            )


def images_to_grow(config: "NetworkConfig", resolution: int) -> int:
    """Each side above 8 pixels comes after the images of the one before, and its fade."""
    assert isinstance(config, Settings), "a NetworkConfig has the settings of every family"
    doublings = (resolution // 8).bit_length() - 1
    return doublings * (config.stable_images + config.fade_images)


FAMILY = built_from(
    "gan.networks.families.progressive.networks", recomputes=True, images_to_grow=images_to_grow
)
