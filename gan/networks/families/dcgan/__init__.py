"""4x4 convolutions that halve or double the side (Radford et al. 2015).

The generator's layers that double it resize and convolve 3x3; with `--upsampling transposed` they are
transposed convolutions as in the paper.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gan.networks.families import Family

if TYPE_CHECKING:
    from gan.config import NetworkConfig
    from gan.networks import CriticNorm
    from gan.networks.families.dcgan.networks import Discriminator, Generator

Upsampling = Literal["transposed", "nearest"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the family."""

    EARLIER: ClassVar[Mapping[str, Any]] = {"upsampling": "transposed"}

    upsampling: Upsampling = "nearest"
    """For dcgan: how the generator doubles the side. nearest: resize by nearest neighbour and convolve 3x3,
    with fewer checkerboards (Odena et al. 2016); transposed: transposed convolution 4x4, as in the paper."""


def build_generator(config: "NetworkConfig", *, resolution: int, channels: int, seed: int = 0) -> "Generator":
    """A generator on the CPU, weights decided by `seed` alone; the global random state stays as it was."""
    from gan.networks.families.dcgan import networks

    return networks.build_generator(config, resolution=resolution, channels=channels, seed=seed)


def build_discriminator(
    config: "NetworkConfig", *, resolution: int, channels: int, seed: int = 0, norm: "CriticNorm" = "batch"
) -> "Discriminator":
    """A discriminator on the CPU, weights decided by `seed` alone; the global random state stays as it was.

    norm: "layer" where the gradient is penalized.
    """
    from gan.networks.families.dcgan import networks

    return networks.build_discriminator(
        config, resolution=resolution, channels=channels, seed=seed, norm=norm
    )


def describe(config: "NetworkConfig", *, resolution: int, channels: int, norm: "CriticNorm") -> str:
    """The settings and the number of parameters in one sentence, without memory for weights."""
    from gan.networks.families.dcgan import networks

    return networks.describe(config, resolution=resolution, channels=channels, norm=norm)


FAMILY = Family(
    build_generator=build_generator,
    build_discriminator=build_discriminator,
    describe=describe,
    resolutions=(16, 32, 64, 128, 256, 512),
)
