"""The progressive GAN as it is commonly written, grown to its full size."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common_families import Form
from common_families.layers import (
    SLOPE,
    EqualConv2d,
    down_block,
    first_block,
    last_block,
    up_block,
    widths_of,
)
from common_families.loop import Trainer, plain_form
from gan.config import GanConfig


class Generator(nn.Module):
    """latents (N, latent_size) -> images of the depth's side."""

    def __init__(self, latent_size: int, widths: list[int], channels: int) -> None:
        super().__init__()
        self.first = first_block(latent_size, widths[0])
        self.blocks = nn.ModuleList(up_block(inner, outer) for inner, outer in itertools.pairwise(widths))
        self.to_rgb = nn.ModuleList(EqualConv2d(width, channels, 1, gain=1) for width in widths[1:])

    def forward(self, latents: Tensor, depth: int, alpha: float) -> Tensor:
        """depth: the number of blocks in use; alpha: how far the last one is faded in, 0 to 1."""
        x = self.first(latents[:, :, None, None])
        for block in self.blocks[: depth - 1]:
            x = block(x)
        images = self.to_rgb[depth - 1](self.blocks[depth - 1](x))
        if alpha < 1:
            before = F.interpolate(self.to_rgb[depth - 2](x), scale_factor=2)
            images = (1 - alpha) * before + alpha * images
        return torch.tanh(images)


class Discriminator(nn.Module):
    """Images of the depth's side -> logits (N,)."""

    def __init__(self, widths: list[int], channels: int, group: int) -> None:
        super().__init__()
        self.from_rgb = nn.ModuleList(
            nn.Sequential(EqualConv2d(channels, width, 1), nn.LeakyReLU(SLOPE)) for width in widths[1:]
        )
        self.blocks = nn.ModuleList(
            down_block(outer, outer, inner) for inner, outer in itertools.pairwise(widths)
        )
        self.last = last_block(widths[0], group)

    def forward(self, images: Tensor, depth: int, alpha: float) -> Tensor:
        """depth and alpha are the generator's."""
        x = self.blocks[depth - 1](self.from_rgb[depth - 1](images))
        if alpha < 1:
            before = self.from_rgb[depth - 2](F.avg_pool2d(images, 2))
            x = (1 - alpha) * before + alpha * x
        for block in reversed(self.blocks[: depth - 1]):
            x = block(x)
        logits: Tensor = self.last(x)
        return logits.view(-1)


class _Grown(nn.Module):
    """A network at its full depth."""

    def __init__(self, network: nn.Module, depth: int) -> None:
        super().__init__()
        self.network, self.depth = network, depth

    def forward(self, x: Tensor) -> Tensor:
        """x: what the network takes."""
        result: Tensor = self.network(x, self.depth, 1.0)
        return result


def build(config: GanConfig, channels: int, device: torch.device) -> Form:
    """Its step."""
    network = config.network
    widths = widths_of(network.width, config.data.resolution)
    depth = len(widths) - 1
    generator = _Grown(Generator(network.latent_size, widths, channels), depth)
    discriminator = _Grown(Discriminator(widths, channels, network.minibatch_std), depth)
    return plain_form(Trainer(generator, discriminator, config, device), channels)
