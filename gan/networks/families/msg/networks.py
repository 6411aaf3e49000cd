"""The two networks that draw and judge all scales at once, and how they are built.

`width` channels at the resolution, twice as many at each smaller side, at most 512 where `width` is below.
The blocks are those of progressive growing, as in the paper's MSG-ProGAN.

Departures from the paper: the smallest image is 8 x 8, not 4 x 4; images end in a tanh; the discriminator
sees a smaller image beside its features as it is, the simplest of the paper's ways to combine them; and
`--minibatch-std` acts before its last layers alone, not in every block. Loss, balance and Adam's settings are
the run's own.
"""

import itertools

import torch
from torch import Tensor, nn

from gan.config import NetworkConfig
from gan.networks import CriticNorm
from gan.networks.equalized import EqualizedConv2d, initialize  # noqa: F401 - as `_built` asks for
from gan.networks.families.msg import scales
from gan.networks.growing_blocks import (
    Doubling,
    First,
    Halving,
    Last,
    discriminator_layers,
    leaky,
    widths_of,
)
from gan.networks.pyramid import split, stacked

NAME = "MSG-GAN"


class Generator(nn.Module):
    """latents (N, latent_size) -> images (N, channels, resolution, resolution) in [-1, 1].

    While it trains: their pyramids (N, channels, 1.5 resolution, resolution), each scale as it drew it.
    """

    def __init__(self, config: NetworkConfig, resolution: int, channels: int) -> None:
        super().__init__()
        widths = widths_of(config.width, resolution)
        self.first = First(config.latent_size, widths[0])
        self.blocks = nn.ModuleList(Doubling(inner, outer) for inner, outer in itertools.pairwise(widths))
        self.to_image = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1) for width in widths[1:])

    def forward(self, latents: Tensor) -> Tensor:
        """latents: (N, latent_size), standard normal."""
        scales = self.all_scales(latents)
        return stacked(scales) if self.training else scales[0]

    def all_scales(self, latents: Tensor) -> list[Tensor]:
        """The images at every scale, (N, channels, side, side) each, the largest first."""
        x, images = self.first(latents), []
        for block, to_image in zip(self.blocks, self.to_image, strict=True):
            x = block(x)
            images.append(torch.tanh(to_image(x)))
        return images[::-1]


class Discriminator(nn.Module):
    """Pyramids (N, channels, 1.5 resolution, resolution) -> logits (N,); positive means real."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int, norm: CriticNorm) -> None:
        super().__init__()
        conv, _ = discriminator_layers(config)
        widths = widths_of(config.width, resolution)[::-1]
        self.scales = scales(resolution)
        self.from_image = conv(channels, widths[0], 1)
        # beside its features a block sees the image of its side; the first has made its features of that
        self.blocks = nn.ModuleList(
            Halving(outer + (channels if place else 0), outer, inner, conv)
            for place, (outer, inner) in enumerate(itertools.pairwise(widths))
        )
        self.last = Last(widths[-1], widths[-1], config)

    def forward(self, pyramids: Tensor) -> Tensor:
        """pyramids: (N, channels, 1.5 resolution, resolution) in [-1, 1], or those of packs."""
        first, *smaller = split(pyramids, self.scales)
        x = self.blocks[0](leaky(self.from_image(first)))
        for block, images in zip(self.blocks[1:], smaller, strict=True):
            x = block(torch.cat([x, images.to(x.dtype)], dim=1))
        logits: Tensor = self.last(x)
        return logits


def details(config: NetworkConfig, resolution: int, norm: CriticNorm) -> list[str]:
    """What the description says beside what all families have."""
    return [f"images of {scales(resolution)} scales judged at once"]
