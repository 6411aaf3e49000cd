"""images at all scales at once, which a discriminator sees together (Karnewar and Wang 2020).

MSG-GAN: gradients reach every layer of the generator directly, so that it needs no schedule of growth.
"""

from typing import TYPE_CHECKING

from gan.networks.families import Family

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gan.config import NetworkConfig
    from gan.networks import CriticNorm
    from gan.networks.families.msg.networks import Discriminator, Generator


def build_generator(config: "NetworkConfig", *, resolution: int, channels: int, seed: int) -> "Generator":
    """A generator on the CPU, weights decided by `seed` alone; the global random state stays as it was."""
    from gan.networks.families.msg import networks

    return networks.build_generator(config, resolution=resolution, channels=channels, seed=seed)


def build_discriminator(
    config: "NetworkConfig", *, resolution: int, channels: int, seed: int, norm: "CriticNorm"
) -> "Discriminator":
    """A discriminator on the CPU, weights decided by `seed` alone; it has no normalization to choose."""
    from gan.networks.families.msg import networks

    return networks.build_discriminator(config, resolution=resolution, channels=channels, seed=seed)


def describe(config: "NetworkConfig", *, resolution: int, channels: int, norm: "CriticNorm") -> str:
    """The settings and the number of parameters in one sentence, without memory for weights."""
    from gan.networks.families.msg import networks

    return networks.describe(config, resolution=resolution, channels=channels)


def scales(resolution: int) -> int:
    """Sides from 8 up to the resolution, each twice the one before."""
    return resolution.bit_length() - 3


def draw_scales(generator: "nn.Module", latents: "Tensor") -> "list[Tensor]":
    """The images at every scale, (N, C, side, side) each, the largest first."""
    from gan.networks.families.msg.networks import Generator

    assert isinstance(generator, Generator)
    return generator.all_scales(latents)


FAMILY = Family(
    build_generator=build_generator,
    build_discriminator=build_discriminator,
    describe=describe,
    resolutions=(16, 32, 64, 128, 256, 512),
    scales=scales,
    draw_scales=draw_scales,
)
