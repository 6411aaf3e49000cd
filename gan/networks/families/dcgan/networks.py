"""The two networks of the DCGAN, and how they are built.

`width` channels in the layer nearest the image and twice as many one layer further, at most 16 times as many:
beyond 128 pixels, which the paper does not have, single layers would have over a hundred million weights. The
layer between latents and 4x4, and the one between 4x4 and logit, are written as matrix products, which is
what a convolution over a 1x1 input or to a 1x1 output is. Where its weights are spectrally normalized the
discriminator has biases and no BatchNorm (Miyato et al. 2018, table 3 and the authors' code); where its
gradient is penalized it has layer normalization in its place (Gulrajani et al. 2017, section 4).
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import NetworkConfig
from gan.networks import CriticNorm
from gan.networks.families.dcgan import Settings
from gan.networks.families.dcgan.upsampling import doubling
from gan.networks.minibatch_std import MinibatchStd
from gan.networks.normalization import SpectralConv2d, SpectralLinear, batch_norm, discriminator_norm
from gan.networks.unfolded import UnfoldedConv2d

NAME = "DCGAN"
FIRST_SIDE = 4
WIDEST_FACTOR = 16
WEIGHT_STD = 0.02


class Generator(nn.Module):
    """latents (N, latent_size) -> images (N, channels, resolution, resolution) in [-1, 1]."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int) -> None:
        super().__init__()
        widths = _widths(config.width, resolution)[::-1]
        kind = _settings(config).upsampling
        self.first = nn.Linear(config.latent_size, widths[0] * FIRST_SIDE**2, bias=False)
        self.first_norm = batch_norm(widths[0], config)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                doubling(kind, inner, outer),
                batch_norm(outer, config),
                nn.ReLU(inplace=True),
            )
            for inner, outer in itertools.pairwise(widths)
        )
        self.to_image = doubling(kind, widths[-1], channels, to_image=True)

    def forward(self, latents: Tensor) -> Tensor:
        """latents: (N, latent_size), standard normal."""
        # rows of the matrix are ordered (4, 4, channels), so that the view below is channels-last for free
        x = (
            self.first(latents)
            .view(-1, FIRST_SIDE, FIRST_SIDE, self.first_norm.num_features)
            .permute(0, 3, 1, 2)
        )
        x = F.relu_(self.first_norm(x))
        for block in self.blocks:
            x = block(x)
        return torch.tanh(self.to_image(x))


class Discriminator(nn.Module):
    """images (N, channels, resolution, resolution) in [-1, 1] -> logits (N,); positive means real."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int, norm: CriticNorm) -> None:
        super().__init__()
        widths = _widths(config.width, resolution)
        # a penalized gradient is differentiated twice, unfolding only once
        plain_conv = nn.Conv2d if norm == "layer" else UnfoldedConv2d
        conv, linear = (SpectralConv2d, SpectralLinear) if config.spectral_norm else (plain_conv, nn.Linear)
        # without them D(0) = 0, whatever it learns
        bias = config.spectral_norm
        self.from_image = conv(channels, widths[0], 4, stride=2, padding=1, bias=bias)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                conv(outer, inner, 4, stride=2, padding=1, bias=bias),
                discriminator_norm(inner, config, norm),
                nn.LeakyReLU(0.2, inplace=True),
            )
            for outer, inner in itertools.pairwise(widths)
        )
        self.spread = MinibatchStd(config.minibatch_std) if config.minibatch_std else nn.Identity()
        features = widths[-1] + bool(config.minibatch_std)
        self.to_logit = linear(features * FIRST_SIDE**2, 1, bias=bias)

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, channels, resolution, resolution) in [-1, 1]."""
        x = F.leaky_relu_(self.from_image(images), 0.2)
        for block in self.blocks:
            x = block(x)
        # after the last BatchNorm, which would subtract what all images of a batch share
        x = self.spread(x)
        # (4, 4, channels) order, for the same reason as in the generator
        logits: Tensor = self.to_logit(x.permute(0, 2, 3, 1).flatten(1)).squeeze(1)
        return logits


def details(config: NetworkConfig, resolution: int, norm: CriticNorm) -> list[str]:
    """What the description says beside what all families have."""
    return [f"{_settings(config).upsampling} upsampling"]


def initialize(network: nn.Module, seed: int) -> None:
    """Weights from N(0, 0.02), gains from N(1, 0.02), biases 0 (section 3; gains as in the authors' code)."""
    randomness = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.normal_(module.weight, 1.0, WEIGHT_STD, generator=randomness)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, WEIGHT_STD, generator=randomness)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _settings(config: NetworkConfig) -> Settings:
    assert isinstance(config, Settings), "a NetworkConfig has the settings of every family"
    return config


def _widths(width: int, resolution: int) -> list[int]:
    """Channels of the layers from the image inwards, down to side 4."""
    depths = range(int(math.log2(resolution // FIRST_SIDE)))
    return [width * min(2**depth, WIDEST_FACTOR) for depth in depths]
