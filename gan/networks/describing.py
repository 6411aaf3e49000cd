"""The sentence that says what the networks of a family are like: their settings and their parameters."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from gan.networks.config import NetworkConfig


def description(
    name: str,
    config: NetworkConfig,
    *,
    resolution: int,
    build: Callable[[], tuple[nn.Module, nn.Module]],
    details: Iterable[str] = (),
) -> str:
    """`DCGAN of width 64 for 32x32 pixels, ...: 9 parameters in the generator, 8 in the discriminator`.

    name: the family's name in text. build: makes the generator and the discriminator; it is called such that
    their weights need no memory. details: what else the family has to say, such as `nearest upsampling`.
    """
    with torch.device("meta"):
        networks = build()
    of_generator, of_discriminator = (sum(p.numel() for p in network.parameters()) for network in networks)
    clauses = [
        f"{name} of width {config.width} for {resolution}x{resolution} pixels",
        f"{config.latent_size} latents",
        *details,
        "spectral normalization" if config.spectral_norm else "",
        f"{config.packing} images judged at once" if config.packing > 1 else "",
        f"minibatch standard deviation of {config.minibatch_std}" if config.minibatch_std else "",
    ]
    return (
        f"{', '.join(filter(None, clauses))}: {of_generator:,} parameters in the generator, "
        f"{of_discriminator:,} in the discriminator"
    )
