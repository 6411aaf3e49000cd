"""Families whose networks are classes in a module of their own, which is imported when they are built.

Such a module imports PyTorch, and has:

- `NAME`: the family's name in text.
- `Generator(config, resolution, channels)` and `Discriminator(config, resolution, channels, norm)`: modules
  as `gan.networks.build_generator` and `build_discriminator` describe them.
- `initialize(network, seed)`: draws all weights of either, from `seed` alone.
- `details(config, resolution, norm)`: what the describing sentence says beside what all families have, parts
  of it, some perhaps empty.
"""

import importlib
from typing import TYPE_CHECKING, Any

from gan.networks.families import Family

if TYPE_CHECKING:
    from torch import nn

    from gan.config import NetworkConfig
    from gan.networks import CriticNorm

SIDES = (16, 32, 64, 128, 256, 512)


def built_from(module: str, **more: Any) -> Family:
    """A family of the module's networks, for images of 16 to 512 pixels; more: other fields of `Family`."""

    def build(which: str, config: "NetworkConfig", seed: int, *shape: Any) -> "nn.Module":
        import torch

        parts = importlib.import_module(module)
        with torch.random.fork_rng(devices=[]):  # the global random state stays as it was
            network: nn.Module = getattr(parts, which)(config, *shape)
        parts.initialize(network, seed)
        if config.gradient_checkpointing:
            from gan.networks.recomputing import recompute

            recompute(network)
        return network

    def build_generator(config: "NetworkConfig", *, resolution: int, channels: int, seed: int) -> "nn.Module":
        return build("Generator", config, seed, resolution, channels)

    def build_discriminator(
        config: "NetworkConfig",
        *,
        resolution: int,
        channels: int,
        seed: int = 0,
        norm: "CriticNorm" = "batch",
    ) -> "nn.Module":
        return build("Discriminator", config, seed, resolution, channels, norm)

    def describe(config: "NetworkConfig", *, resolution: int, channels: int, norm: "CriticNorm") -> str:
        from gan.networks.describing import description

        parts = importlib.import_module(module)
        return description(
            parts.NAME,
            config,
            resolution=resolution,
            build=lambda: (
                parts.Generator(config, resolution, channels),
                parts.Discriminator(config, resolution, config.packing * channels, norm),
            ),
            details=parts.details(config, resolution, norm),
        )

    fields = {"resolutions": SIDES} | more
    return Family(
        build_generator=build_generator, build_discriminator=build_discriminator, describe=describe, **fields
    )
