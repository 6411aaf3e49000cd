"""The two networks of residual blocks, and how they are built.

Miyato et al. 2018, "Spectral normalization for generative adversarial networks", appendix B.4. The generator
begins at 4x4 and doubles the side to the image's. The discriminator halves it to 4x4, judges the sum of the
last features over all pixels, and its last block keeps the side. Both have `width` channels in the layer
nearest the image, twice as many in the next, and so on up to 16 times (table 6, for ImageNet). With
`--widening none` all layers have as many: `width` in the discriminator, which halves the side to 8x8 and then
has two blocks more, and twice that in the generator (table 4, for CIFAR-10, with width 128).

Departures: no conditioning on classes. Self-attention (Zhang et al. 2019) where it is asked for. Without
spectral normalization the discriminator has BatchNorm before each ReLU of its blocks, as the generator, or
layer normalization where its gradient is penalized (Gulrajani et al. 2017, section 4). Weights begin as in
the authors' code: uniform (Glorot and Bengio 2010), times the square root of 2 in the 3x3 convolutions of
blocks, biases 0.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import NetworkConfig
from gan.networks import CriticNorm
from gan.networks.families.resnet import Settings
from gan.networks.families.resnet.attention import SelfAttention
from gan.networks.families.resnet.blocks import DownBlock, PlainBlock, UpBlock
from gan.networks.minibatch_std import MinibatchStd
from gan.networks.normalization import SpectralLinear, batch_norm

NAME = "ResNet"
FIRST_SIDE = 4
WIDEST_FACTOR = 16


class Generator(nn.Module):
    """latents (N, latent_size) -> images (N, channels, resolution, resolution) in [-1, 1]."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int) -> None:
        super().__init__()
        widths = generator_widths(config, resolution)
        self.first = nn.Linear(config.latent_size, widths[0] * FIRST_SIDE**2)
        blocks: list[nn.Module] = []
        side = FIRST_SIDE
        for inner, outer in itertools.pairwise(widths):
            blocks.append(UpBlock(inner, outer, config))
            side *= 2
            if side == _settings(config).attention:
                blocks.append(SelfAttention(outer))
        self.blocks = nn.Sequential(*blocks)
        self.last_norm = batch_norm(widths[-1], config)
        self.to_image = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """latents: (N, latent_size), standard normal."""
        # rows of the matrix are ordered (4, 4, channels), so that the view is channels-last for free
        x = self.first(latents).unflatten(1, (FIRST_SIDE, FIRST_SIDE, -1)).permute(0, 3, 1, 2)
        x = F.relu_(self.last_norm(self.blocks(x)))
        return torch.tanh(self.to_image(x))


class Discriminator(nn.Module):
    """images (N, channels, resolution, resolution) in [-1, 1] -> logits (N,); positive means real."""

    def __init__(self, config: NetworkConfig, resolution: int, channels: int, norm: CriticNorm) -> None:
        super().__init__()
        widths, num_plain = discriminator_widths(config, resolution)
        blocks: list[nn.Module] = []
        side = resolution
        for outer, inner in itertools.pairwise([channels, *widths]):
            blocks.append(DownBlock(outer, inner, config, norm, is_first=not blocks))
            side //= 2
            if side == _settings(config).attention:
                attention = SelfAttention(
                    inner, is_spectral=config.spectral_norm, is_twice_differentiable=norm == "layer"
                )
                blocks.append(attention)
        blocks += [PlainBlock(widths[-1], config, norm) for _ in range(num_plain)]
        self.blocks = nn.Sequential(*blocks)
        # after all normalization, which would subtract what all images of a batch share
        self.spread = MinibatchStd(config.minibatch_std) if config.minibatch_std else nn.Identity()
        linear = SpectralLinear if config.spectral_norm else nn.Linear
        self.to_logit = linear(widths[-1] + bool(config.minibatch_std), 1)

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, channels, resolution, resolution) in [-1, 1]."""
        features = self.spread(F.relu(self.blocks(images)))
        logits: Tensor = self.to_logit(features.sum((2, 3))).squeeze(1)
        return logits


def generator_widths(config: NetworkConfig, resolution: int) -> list[int]:
    """Channels from side 4 to the image's side."""
    doublings = int(math.log2(resolution // FIRST_SIDE))
    if _settings(config).widening == "none":
        return [2 * config.width] * (doublings + 1)
    # the first block has as many channels before as behind it
    inwards = _doubled(config.width, doublings)
    return [inwards[-1], *reversed(inwards)]


def discriminator_widths(config: NetworkConfig, resolution: int) -> tuple[list[int], int]:
    """Channels behind each block that halves the side, and the number of blocks after them."""
    halvings = int(math.log2(resolution // FIRST_SIDE))
    if _settings(config).widening == "none":
        return [config.width] * (halvings - 1), 2
    return _doubled(config.width, halvings), 1


def _doubled(width: int, count: int) -> list[int]:
    return [width * min(2**depth, WIDEST_FACTOR) for depth in range(count)]


def details(config: NetworkConfig, resolution: int, norm: CriticNorm) -> list[str]:
    """What the description says beside what all families have."""
    settings = _settings(config)
    return [
        "" if settings.widening == "double" else "equal widths",
        f"self-attention at {settings.attention} pixels" if settings.attention else "",
        "" if config.spectral_norm else f"{norm} normalization of the discriminator",
    ]


def initialize(network: nn.Module, seed: int) -> None:
    randomness = torch.Generator().manual_seed(seed)
    blocks = [module for module in network.modules() if isinstance(module, UpBlock | DownBlock | PlainBlock)]
    residual = {layer for block in blocks for layer in (block.first, block.second)}
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            gain = math.sqrt(2) if module in residual else 1.0
            nn.init.xavier_uniform_(module.weight, gain, generator=randomness)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _settings(config: NetworkConfig) -> Settings:
    assert isinstance(config, Settings), "a NetworkConfig has the settings of every family"
    return config
