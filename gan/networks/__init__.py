"""The networks of a run: built by the family that its configuration names."""

from typing import TYPE_CHECKING, Literal

from common.errors import require
from gan.networks.families import FAMILIES, Family

if TYPE_CHECKING:
    from torch import nn

    from gan.config import NetworkConfig

CriticNorm = Literal["batch", "layer"]
"""Normalization of the discriminator: over the batch, or for each image alone."""


def build_generator(config: "NetworkConfig", *, resolution: int, channels: int, seed: int = 0) -> "nn.Module":
    """A generator on the CPU: latents (N, latent_size) -> images (N, C, H, W) in [-1, 1].

    Initial weights are decided by `seed` alone.

    Raises: ConfigError for a resolution that the family does not support.
    """
    family = family_of(config, resolution)
    return family.build_generator(config, resolution=resolution, channels=channels, seed=seed)


def build_discriminator(
    config: "NetworkConfig", *, resolution: int, channels: int, seed: int = 0, norm: CriticNorm = "batch"
) -> "nn.Module":
    """A discriminator on the CPU: images (N, C, H, W) in [-1, 1] -> logits (N,); positive means real.

    With `packing` m it takes m images at once: (N, m C, H, W). Initial weights are decided by `seed` alone.

    Raises: ConfigError for a resolution that the family does not support.
    """
    family, channels = family_of(config, resolution), config.packing * channels
    return family.build_discriminator(config, resolution=resolution, channels=channels, seed=seed, norm=norm)


def describe(config: "NetworkConfig", *, resolution: int, channels: int, norm: CriticNorm = "batch") -> str:
    """The settings and the number of parameters of both networks in one sentence.

    Raises: ConfigError for a resolution that the family does not support.
    """
    return family_of(config, resolution).describe(config, resolution=resolution, channels=channels, norm=norm)


def scales_of(config: "NetworkConfig", resolution: int) -> int:
    """At how many scales a discriminator sees each image; see `gan.networks.pyramid`."""
    return FAMILIES[config.family].scales(resolution)


def numbers_per_image(config: "NetworkConfig", resolution: int) -> int:
    """Standard normal numbers that a generator takes for each image while it trains; at least its latents."""
    return FAMILIES[config.family].numbers_per_image(config, resolution)


def batch_divisors(config: "NetworkConfig", resolution: int) -> tuple[tuple[int, int], ...]:
    """(images seen, by what the family divides the batch from then on), the first at 0 images."""
    family = FAMILIES[config.family]
    return family.batch_divisors(config, resolution) if resolution in family.resolutions else ((0, 1),)


def family_of(config: "NetworkConfig", resolution: int) -> Family:
    """The family that the configuration names.

    Raises: ConfigError when it, or one of its settings, does not support the resolution.
    """
    family = FAMILIES[config.family]
    require(
        resolution in family.resolutions,
        f"--family {config.family} makes images of {', '.join(map(str, family.resolutions))} pixels, "
        f"not {resolution}; choose another --resolution or another --family",
    )
    require(
        family.recomputes or not config.gradient_checkpointing,
        f"--gradient-checkpointing has no effect with --family {config.family}; leave it out, or take "
        f"{' or '.join(name for name in FAMILIES if FAMILIES[name].recomputes)}",
    )
    family.check(config, resolution)
    return family
