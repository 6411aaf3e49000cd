"""small images first, then larger ones: layers are faded in as training goes on (Karras et al. 2018).

Both networks begin with images of 8 x 8 pixels. After `--stable-images` the layers that double the side are
faded in over `--fade-images`, and so on up to the resolution.
"""

import dataclasses
from typing import TYPE_CHECKING

from common.errors import require
from gan.networks.families import Family

if TYPE_CHECKING:
    from gan.config import NetworkConfig
    from gan.networks import CriticNorm
    from gan.networks.families.progressive.networks import Discriminator, Generator


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


def build_generator(config: "NetworkConfig", *, resolution: int, channels: int, seed: int) -> "Generator":
    """A generator on the CPU, weights decided by `seed` alone; the global random state stays as it was."""
    from gan.networks.families.progressive import networks

    return networks.build_generator(config, resolution=resolution, channels=channels, seed=seed)


def build_discriminator(
    config: "NetworkConfig", *, resolution: int, channels: int, seed: int, norm: "CriticNorm"
) -> "Discriminator":
    """A discriminator on the CPU, weights decided by `seed` alone; it has no normalization to choose."""
    from gan.networks.families.progressive import networks

    return networks.build_discriminator(config, resolution=resolution, channels=channels, seed=seed)


def describe(config: "NetworkConfig", *, resolution: int, channels: int, norm: "CriticNorm") -> str:
    """The settings and the number of parameters in one sentence, without memory for weights."""
    from gan.networks.families.progressive import networks

    return networks.describe(config, resolution=resolution, channels=channels)


FAMILY = Family(
    build_generator=build_generator,
    build_discriminator=build_discriminator,
    describe=describe,
    resolutions=(16, 32, 64, 128, 256, 512),
)
