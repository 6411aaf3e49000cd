"""The two networks of a StyleGAN2, and how they are built.

`width` channels at the resolution, twice as many at each smaller side, at most 512 where `width` is below;
styles are as long as latents.

Departures from the papers: images end in a tanh; the discriminator halves by means of 2x2 pixels, where the
authors filter by [1, 3, 3, 1]; an image of a side takes the style of that side's last layer; samples have the
same noise in every image. Loss, balance and Adam's settings are the run's own, as are R1 and
`--minibatch-std` (the paper: non-saturating, R1 10 every 16, 4, beta1 0, beta2 0.99, rates 2e-3).
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan.config import NetworkConfig
from gan.networks import CriticNorm
from gan.networks.equalized import GAIN, EqualizedConv2d
from gan.networks.equalized import initialize as initialize_layers
from gan.networks.families.style import Settings
from gan.networks.families.style.inputs import Layout
from gan.networks.families.style.layers import Mapping, ModulatedConv2d, StyledConv2d, doubled
from gan.networks.growing_blocks import FIRST_SIDE, Conv, Last, discriminator_layers, leaky, widths_of
from gan.networks.pyramid import pooled
from gan.networks.recomputing import Block

NAME = "StyleGAN2"
MEAN_RATE = 0.005
"""Share of the mean style that one step renews."""


class Generator(nn.Module):
    """latents (N, latent_size) -> images (N, channels, resolution, resolution) in [-1, 1].

    With rows of all numbers that `Layout` names, styles are mixed and every image has noise of its own; with
    latents alone, neither.
    """

    mean_style: Tensor
    path_length: Tensor

    def __init__(self, config: NetworkConfig, resolution: int, channels: int) -> None:
        super().__init__()
        assert isinstance(config, Settings), "a NetworkConfig has the settings of every family"
        self.layout, self.mixing = Layout.of(config, resolution), config.style_mixing
        self.truncation = 1.0
        """1: styles as they are; 0: the mean style; between: images that are likelier and less varied."""
        widths, size = widths_of(config.width, resolution), config.latent_size
        self.mapping = Mapping(size, config.mapping_layers)
        self.constant = nn.Parameter(torch.empty(widths[0], FIRST_SIDE, FIRST_SIDE))
        self.first = StyledConv2d(widths[0], widths[0], size, gain=GAIN)
        self.blocks = nn.ModuleList(
            _StyledDoubling(inner, outer, size) for inner, outer in itertools.pairwise(widths)
        )
        self.to_image = nn.ModuleList(
            ModulatedConv2d(width, channels, 1, size, demodulates=False) for width in widths
        )
        self.image_bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean_style", torch.zeros(size))
        self.register_buffer("path_length", torch.zeros(()))

    def forward(self, rows: Tensor) -> Tensor:
        """rows: (N, latent_size) or (N, `layout.total`), standard normal."""
        styles = self.styles(rows)
        if self.training:
            with torch.no_grad():
                self.mean_style.lerp_(styles[:, 0].float().mean(dim=0), MEAN_RATE)
        return self.images(styles, self.layout.noise(rows))

    def styles(self, rows: Tensor) -> Tensor:
        """The style of each image's layers, (N, layers, latent_size)."""
        first, second = self.layout.latents(rows)
        layers = len(self.layout.noise_sides)
        styles: Tensor = self.mapping(first)[:, None].expand(-1, layers, -1)
        if second is not None:
            crossing = self.layout.first_mixed(rows, self.mixing)[:, None]
            is_mixed = torch.arange(layers, device=rows.device) >= crossing
            styles = torch.where(is_mixed[:, :, None], self.mapping(second)[:, None], styles)
        if self.truncation != 1:
            styles = torch.lerp(self.mean_style.to(styles.dtype), styles, self.truncation)
        return styles

    def images(self, styles: Tensor, noise: list[Tensor]) -> Tensor:
        """styles: (N, layers, latent_size); noise: (N or 1, 1, side, side) of each layer."""
        of_layer = styles.unbind(dim=1)
        x = self.constant.expand(styles.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = self.first(x, of_layer[0], noise[0])
        images = self.to_image[0](x, of_layer[0])
        for place, (block, to_image) in enumerate(zip(self.blocks, self.to_image[1:], strict=True)):
            both = slice(1 + 2 * place, 3 + 2 * place)
            x = block(x, of_layer[both], noise[both])
            images = doubled(images) + to_image(x, of_layer[both][1])
        return torch.tanh(images + self.image_bias[:, None, None])


class Discriminator(nn.Module):
    """images (N, channels, resolution, resolution) in [-1, 1] -> logits (N,); positive means real."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int, norm: CriticNorm) -> None:
        super().__init__()
        conv, _ = discriminator_layers(config)
        widths = widths_of(config.width, resolution)[::-1]
        self.from_image = conv(channels, widths[0], 1)
        self.blocks = nn.Sequential(
            *(_ResidualHalving(outer, inner, conv) for outer, inner in itertools.pairwise(widths))
        )
        self.last = Last(widths[-1], widths[-1], config)

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, channels, resolution, resolution) in [-1, 1]."""
        logits: Tensor = self.last(self.blocks(leaky(self.from_image(images))))
        return logits


class _StyledDoubling(Block):
    def __init__(self, inner: int, outer: int, style_size: int) -> None:
        super().__init__()
        self.first = StyledConv2d(inner, outer, style_size, gain=GAIN)
        self.second = StyledConv2d(outer, outer, style_size, gain=GAIN)

    def forward(self, x: Tensor, styles: Sequence[Tensor], noise: Sequence[Tensor]) -> Tensor:
        """x: (N, inner, H, W); styles and noise: those of both layers."""
        first = self.first(doubled(x), styles[0], noise[0])
        result: Tensor = self.second(first, styles[1], noise[1])
        return result


class _ResidualHalving(Block):
    def __init__(self, outer: int, inner: int, conv: Conv) -> None:
        super().__init__()
        self.first, self.second = conv(outer, outer, 3), conv(outer, inner, 3)
        self.skip = EqualizedConv2d(outer, inner, 1, gain=1)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, outer, H, W)."""
        changed = pooled(leaky(self.second(leaky(self.first(x)))), 2)
        result: Tensor = (changed + self.skip(pooled(x, 2))) * math.sqrt(0.5)
        return result


def details(config: NetworkConfig, resolution: int, norm: CriticNorm) -> list[str]:
    """What the description says beside what all families have."""
    assert isinstance(config, Settings), "a NetworkConfig has the settings of every family"
    return [
        f"mapping of {config.mapping_layers} layers",
        f"path lengths weighing {config.path_length:g}" if config.path_length else "",
    ]


def initialize(network: nn.Module, seed: int) -> None:
    """Weights and the constant from N(0, 1), biases 0."""
    initialize_layers(network, seed)
    if isinstance(network, Generator):
        nn.init.normal_(network.constant, generator=torch.Generator().manual_seed(seed))
