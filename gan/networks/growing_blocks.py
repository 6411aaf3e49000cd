"""Blocks of two convolutions that double or halve the side, of the families after progressive growing.

Karras et al. 2018, table 2: after each convolution a leaky rectifier, in the generator then pixel norm.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.networks.config import NetworkConfig
from gan.networks.equalized import (
    GAIN,
    LEAKY,
    EqualizedConv2d,
    EqualizedLinear,
    EqualizedNearestConv2d,
    pixel_norm,
)
from gan.networks.minibatch_std import MinibatchStd
from gan.networks.normalization import SpectralConv2d, SpectralLinear
from gan.networks.pyramid import pooled
from gan.networks.recomputing import Block

FIRST_SIDE = 4
MOST_CHANNELS = 512

Conv = Callable[[int, int, int], nn.Module]


class First(Block):
    """latents (N, latent_size) -> features (N, width, 4, 4)."""

    def __init__(self, latent_size: int, width: int) -> None:
        super().__init__()
        # the gain is a quarter, as in the authors' code
        self.linear = EqualizedLinear(latent_size, width * FIRST_SIDE**2, gain=GAIN / 4)
        self.conv = EqualizedConv2d(width, width, 3)

    def forward(self, latents: Tensor) -> Tensor:
        """latents: (N, latent_size), standard normal."""
        x = self.linear(pixel_norm(latents)).unflatten(1, (-1, FIRST_SIDE, FIRST_SIDE))
        x = activated(x.contiguous(memory_format=torch.channels_last))
        return activated(self.conv(x))


class Doubling(Block):
    """features (N, inner, H, W) -> (N, outer, 2 H, 2 W)."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.first, self.second = EqualizedNearestConv2d(inner, outer), EqualizedConv2d(outer, outer, 3)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, inner, H, W)."""
        return activated(self.second(activated(self.first(x))))


class Halving(Block):
    """features (N, given, H, W) -> (N, inner, H / 2, W / 2), with `outer` channels in between."""

    def __init__(self, given: int, outer: int, inner: int, conv: Conv) -> None:
        super().__init__()
        self.first, self.second = conv(given, outer, 3), conv(outer, inner, 3)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, given, H, W)."""
        return pooled(leaky(self.second(leaky(self.first(x)))), 2)


class Last(nn.Module):
    """features (N, given, 4, 4) -> logits (N,)."""

    def __init__(self, given: int, width: int, config: NetworkConfig) -> None:
        super().__init__()
        conv, linear = discriminator_layers(config)
        self.spread = MinibatchStd(config.minibatch_std) if config.minibatch_std else nn.Identity()
        self.conv = conv(given + bool(config.minibatch_std), width, 3)
        self.linear = linear(width * FIRST_SIDE**2, width)
        self.to_logit = linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, given, 4, 4)."""
        x = leaky(self.conv(self.spread(x)))
        logits: Tensor = self.to_logit(leaky(self.linear(x.flatten(1)))).squeeze(1)
        return logits


def widths_of(width: int, resolution: int) -> list[int]:
    """Channels at each side from 4 up to the resolution: `width` there, twice as many at each smaller one.

    They are 512 at most, where `width` is below.
    """
    most = max(width, MOST_CHANNELS)
    return [min(width * resolution // side, most) for side in sides_of(FIRST_SIDE, resolution)]


def sides_of(first: int, resolution: int) -> list[int]:
    """first, 2 first, ... up to the resolution."""
    sides = [first]
    while sides[-1] < resolution:
        sides.append(2 * sides[-1])
    return sides


def discriminator_layers(config: NetworkConfig) -> tuple[Conv, type[nn.Linear]]:
    """Layers of a discriminator: with an equalized learning rate, or spectrally normalized."""
    return (_spectral_conv, SpectralLinear) if config.spectral_norm else (EqualizedConv2d, EqualizedLinear)


def _spectral_conv(inner: int, outer: int, kernel: int) -> nn.Module:
    return SpectralConv2d(inner, outer, kernel, padding=kernel // 2)


def leaky(x: Tensor) -> Tensor:
    """A leaky rectifier of slope 0.2, in place: gradients then keep one tensor of a layer instead of two."""
    return F.leaky_relu(x, LEAKY, inplace=True)


def activated(x: Tensor) -> Tensor:
    """The rectifier, then pixel norm."""
    return pixel_norm(leaky(x))
