"""residual blocks that halve or double the side (Miyato et al. 2018), with self-attention where asked for.

In the paper the discriminator's weights are spectrally normalized: give `--spectral-norm`, and
`--loss hinge`. Without it the discriminator has BatchNorm, or layer normalization where its gradient is
penalized.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from common.errors import require
from gan.networks.families import Family

if TYPE_CHECKING:
    from gan.config import NetworkConfig
    from gan.networks import CriticNorm
    from gan.networks.families.resnet.networks import Discriminator, Generator

Attention = Literal[0, 8, 16, 32, 64]
Widening = Literal["double", "none"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the family."""

    attention: Attention = 0
    """For resnet: side in pixels of the features that get self-attention, in both networks (Zhang et al.
    2019), at most half the image's; 0: off."""
    widening: Widening = "double"
    """For resnet: channels of smaller layers. double: twice as many, at most 16 times, as in the paper's
    networks for large images; none: as many everywhere, in the generator twice --width, as for CIFAR-10."""


def build_generator(config: "NetworkConfig", *, resolution: int, channels: int, seed: int = 0) -> "Generator":
    """A generator on the CPU, weights decided by `seed` alone; the global random state stays as it was."""
    from gan.networks.families.resnet import networks

    return networks.build_generator(config, resolution=resolution, channels=channels, seed=seed)


def build_discriminator(
    config: "NetworkConfig", *, resolution: int, channels: int, seed: int = 0, norm: "CriticNorm" = "batch"
) -> "Discriminator":
    """A discriminator on the CPU, weights decided by `seed` alone; the global random state stays as it was.

    norm: "layer" where the gradient is penalized.
    """
    from gan.networks.families.resnet import networks

    return networks.build_discriminator(
        config, resolution=resolution, channels=channels, seed=seed, norm=norm
    )


def describe(config: "NetworkConfig", *, resolution: int, channels: int, norm: "CriticNorm") -> str:
    """The settings and the number of parameters in one sentence, without memory for weights."""
    from gan.networks.families.resnet import networks

    return networks.describe(config, resolution=resolution, channels=channels, norm=norm)


def _check(config: Any, resolution: int) -> None:
    require(
        config.attention <= resolution // 2,
        f"--attention must be at most half of --resolution {resolution}, not {config.attention}; "
        f"try {min(32, resolution // 2)}",
    )


FAMILY = Family(
    build_generator=build_generator,
    build_discriminator=build_discriminator,
    describe=describe,
    resolutions=(16, 32, 64, 128, 256, 512),
    check=_check,
)
