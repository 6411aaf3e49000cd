"""The two networks that grow, and how they are built.

`width` channels at the resolution, twice as many at each smaller side, at most 512 where `width` is below.

Departures from the paper: growth begins at 8 x 8, not at 4 x 4; images end in a tanh, and smaller ones are
resized by nearest neighbour to the resolution, so that all else sees images of one size; while a side is
faded in, the discriminator mixes all images with their halves, where the authors' code does so with real ones
alone; loss, balance and Adam's settings are the run's own (the paper: wasserstein, beta1 0, beta2 0.99, rates
1e-3), as is `--minibatch-std` (the paper: 4).
"""

import itertools

import torch
from torch import Tensor, nn

from gan.config import NetworkConfig
from gan.networks import CriticNorm
from gan.networks.equalized import EqualizedConv2d, initialize  # noqa: F401 - as `_built` asks for
from gan.networks.families.progressive import schedule_of
from gan.networks.growing_blocks import (
    Doubling,
    First,
    Halving,
    Last,
    discriminator_layers,
    leaky,
    widths_of,
)
from gan.networks.growth.schedule import SMALLEST_IMAGE
from gan.networks.growth.state import Growth
from gan.networks.pyramid import pooled, resized

NAME = "progressive GAN"


class Generator(nn.Module):
    """latents (N, latent_size) -> images (N, channels, resolution, resolution) in [-1, 1]."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int) -> None:
        super().__init__()
        widths = widths_of(config.width, resolution)
        self.growth, self.resolution = Growth(schedule_of(config, resolution)), resolution
        self.first = First(config.latent_size, widths[0])
        self.blocks = nn.ModuleList(Doubling(inner, outer) for inner, outer in itertools.pairwise(widths))
        self.to_image = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1) for width in widths[1:])

    def forward(self, latents: Tensor) -> Tensor:
        """latents: (N, latent_size), standard normal."""
        level = self.growth.level
        x = before = self.first(latents)
        for block in self.blocks[: level + 1]:
            before, x = x, block(x)
        images = self.to_image[level](x)
        if self.growth.is_fading:
            images = self.growth.faded(resized(self.to_image[level - 1](before), 2), images)
        return resized(torch.tanh(images), self.resolution // self.growth.side)


class Discriminator(nn.Module):
    """images (N, channels, resolution, resolution) in [-1, 1] -> logits (N,); positive means real."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int, norm: CriticNorm) -> None:
        super().__init__()
        conv, _ = discriminator_layers(config)
        widths = widths_of(config.width, resolution)
        self.growth, self.resolution = Growth(schedule_of(config, resolution)), resolution
        self.from_image = nn.ModuleList(conv(channels, width, 1) for width in widths[1:])
        self.blocks = nn.ModuleList(
            Halving(outer, outer, inner, conv) for inner, outer in itertools.pairwise(widths)
        )
        self.last = Last(widths[0], widths[0], config)

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, channels, resolution, resolution) in [-1, 1]."""
        level, is_fading = self.growth.level, self.growth.is_fading
        images = pooled(images, self.resolution // self.growth.side)
        halves = pooled(images, 2) if is_fading else images
        if is_fading:
            images = self.growth.faded(resized(halves, 2), images)
        x = self.blocks[level](leaky(self.from_image[level](images)))
        if is_fading:
            x = self.growth.faded(leaky(self.from_image[level - 1](halves)), x)
        for smaller in range(level - 1, -1, -1):
            x = self.blocks[smaller](x)
        logits: Tensor = self.last(x)
        return logits


def details(config: NetworkConfig, resolution: int, norm: CriticNorm) -> list[str]:
    """What the description says beside what all families have."""
    grown = schedule_of(config, resolution).images()
    return [f"from {SMALLEST_IMAGE}x{SMALLEST_IMAGE} pixels, fully grown after {grown:,} images"]
