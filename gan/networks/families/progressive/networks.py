"""The two networks that grow, and how they are built.

`width` channels at the resolution, twice as many at each smaller side, at most 512 where `width` is below.

Departures from the paper: growth begins at 8 x 8, not at 4 x 4; images end in a tanh, and smaller ones are
resized by nearest neighbour to the resolution, so that all else sees images of one size; while a side is
faded in, the discriminator mixes all images with their halves, where the authors' code does so with real ones
alone; loss, balance and Adam's settings are the run's own (the paper: wasserstein, beta1 0, beta2 0.99, rates
1e-3), as are the batch and `--minibatch-std` (the paper: 4).
"""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import NetworkConfig
from gan.networks.describing import description
from gan.networks.equalized import GAIN, LEAKY, EqualizedConv2d, EqualizedLinear, initialize, pixel_norm
from gan.networks.families.progressive import Settings
from gan.networks.growth import Growth, Schedule
from gan.networks.minibatch_std import MinibatchStd
from gan.networks.normalization import SpectralConv2d, SpectralLinear

FIRST_SIDE, SMALLEST_IMAGE = 4, 8
MOST_CHANNELS = 512


class Generator(nn.Module):
    """latents (N, latent_size) -> images (N, channels, resolution, resolution) in [-1, 1]."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int) -> None:
        super().__init__()
        widths = _widths(config.width, resolution)
        self.growth = Growth(_schedule(config, resolution))
        self.resolution = resolution
        # the first layer's gain is a quarter, as in the authors' code
        self.first = EqualizedLinear(config.latent_size, widths[0] * FIRST_SIDE**2, gain=GAIN / 4)
        self.first_conv = EqualizedConv2d(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(_Doubling(inner, outer) for inner, outer in itertools.pairwise(widths))
        self.to_image = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1) for width in widths[1:])

    def forward(self, latents: Tensor) -> Tensor:
        """latents: (N, latent_size), standard normal."""
        x = self.first(pixel_norm(latents)).unflatten(1, (-1, FIRST_SIDE, FIRST_SIDE))
        x = _activated(x.contiguous(memory_format=torch.channels_last))
        x = before = _activated(self.first_conv(x))
        level = self.growth.level
        for block in self.blocks[: level + 1]:
            before, x = x, block(x)
        images = self.to_image[level](x)
        if self.growth.is_fading:
            images = self.growth.faded(_resized(self.to_image[level - 1](before), 2), images)
        return torch.tanh(_resized(images, self.resolution // self.growth.side))


class Discriminator(nn.Module):
    """images (N, channels, resolution, resolution) in [-1, 1] -> logits (N,); positive means real."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int) -> None:
        super().__init__()
        conv, linear = _layers(config)
        widths = _widths(config.width, resolution)
        self.growth = Growth(_schedule(config, resolution))
        self.resolution = resolution
        self.from_image = nn.ModuleList(conv(channels, width, 1) for width in widths[1:])
        self.blocks = nn.ModuleList(
            _Halving(outer, inner, conv) for inner, outer in itertools.pairwise(widths)
        )
        self.spread = MinibatchStd(config.minibatch_std) if config.minibatch_std else nn.Identity()
        self.last_conv = conv(widths[0] + bool(config.minibatch_std), widths[0], 3)
        self.last = linear(widths[0] * FIRST_SIDE**2, widths[0])
        self.to_logit = linear(widths[0], 1)

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, channels, resolution, resolution) in [-1, 1]."""
        level, is_fading = self.growth.level, self.growth.is_fading
        images = _pooled(images, self.resolution // self.growth.side)
        halves = _pooled(images, 2) if is_fading else images
        if is_fading:
            images = self.growth.faded(_resized(halves, 2), images)
        x = self.blocks[level](_leaky(self.from_image[level](images)))
        if is_fading:
            x = self.growth.faded(_leaky(self.from_image[level - 1](halves)), x)
        for smaller in range(level - 1, -1, -1):
            x = self.blocks[smaller](x)
        x = _leaky(self.last_conv(self.spread(x)))
        logits: Tensor = self.to_logit(_leaky(self.last(x.flatten(1)))).squeeze(1)
        return logits


class _Doubling(nn.Module):
    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.first, self.second = EqualizedConv2d(inner, outer, 3), EqualizedConv2d(outer, outer, 3)

    def forward(self, x: Tensor) -> Tensor:
        return _activated(self.second(_activated(self.first(_resized(x, 2)))))


class _Halving(nn.Module):
    def __init__(self, outer: int, inner: int, conv: Callable[[int, int, int], nn.Module]) -> None:
        super().__init__()
        self.first, self.second = conv(outer, outer, 3), conv(outer, inner, 3)

    def forward(self, x: Tensor) -> Tensor:
        return _pooled(_leaky(self.second(_leaky(self.first(x)))), 2)


def build_generator(config: NetworkConfig, *, resolution: int, channels: int, seed: int = 0) -> Generator:
    """A generator on the CPU, weights decided by `seed` alone; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        network = Generator(config, resolution, channels)
    initialize(network, seed)
    return network


def build_discriminator(
    config: NetworkConfig, *, resolution: int, channels: int, seed: int = 0
) -> Discriminator:
    """A discriminator on the CPU; its weights and the random state are as with the generator."""
    with torch.random.fork_rng(devices=[]):
        network = Discriminator(config, resolution, channels)
    initialize(network, seed)
    return network


def describe(config: NetworkConfig, *, resolution: int, channels: int) -> str:
    """The settings and the number of parameters in one sentence, without memory for weights."""
    schedule = _schedule(config, resolution)
    return description(
        "progressive GAN",
        config,
        resolution=resolution,
        build=lambda: (
            Generator(config, resolution, channels),
            Discriminator(config, resolution, config.packing * channels),
        ),
        details=(
            f"from {SMALLEST_IMAGE}x{SMALLEST_IMAGE} pixels, fully grown after {schedule.images():,} images",
        ),
    )


def _widths(width: int, resolution: int) -> list[int]:
    """Channels at each side from 4 up to the resolution."""
    sides = [FIRST_SIDE]
    while sides[-1] < resolution:
        sides.append(2 * sides[-1])
    most = max(width, MOST_CHANNELS)
    return [min(width * resolution // side, most) for side in sides]


def _schedule(config: NetworkConfig, resolution: int) -> Schedule:
    assert isinstance(config, Settings), "a NetworkConfig has the settings of every family"
    sides = [SMALLEST_IMAGE]
    while sides[-1] < resolution:
        sides.append(2 * sides[-1])
    return Schedule(tuple(sides), stable=config.stable_images, fade=config.fade_images)


def _layers(config: NetworkConfig) -> tuple[Callable[[int, int, int], nn.Module], type[nn.Linear]]:
    """Layers of the discriminator: with an equalized learning rate, or spectrally normalized."""
    if not config.spectral_norm:
        return EqualizedConv2d, EqualizedLinear
    return _spectral_conv, SpectralLinear


def _spectral_conv(inner: int, outer: int, kernel: int) -> nn.Module:
    return SpectralConv2d(inner, outer, kernel, padding=kernel // 2)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAKY)


def _activated(x: Tensor) -> Tensor:
    return pixel_norm(_leaky(x))


def _resized(images: Tensor, factor: int) -> Tensor:
    return F.interpolate(images, scale_factor=factor, mode="nearest") if factor > 1 else images


def _pooled(images: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(images, factor) if factor > 1 else images
