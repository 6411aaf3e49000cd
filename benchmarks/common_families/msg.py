"""The multi-scale GAN as it is commonly written: lists of images of all scales."""

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
    """latents (N, latent_size) -> images of each side from 8 on, the smallest first."""

    def __init__(self, latent_size: int, widths: list[int], channels: int) -> None:
        super().__init__()
        self.first = first_block(latent_size, widths[0])
        self.blocks = nn.ModuleList(up_block(inner, outer) for inner, outer in itertools.pairwise(widths))
        self.to_rgb = nn.ModuleList(EqualConv2d(width, channels, 1, gain=1) for width in widths[1:])

    def forward(self, latents: Tensor) -> list[Tensor]:
        """latents: (N, latent_size)."""
        x = self.first(latents[:, :, None, None])
        images = []
        for block, to_rgb in zip(self.blocks, self.to_rgb, strict=True):
            x = block(x)
            images.append(torch.tanh(to_rgb(x)))
        return images


class Discriminator(nn.Module):
    """Images of each side, the smallest first -> logits (N,)."""

    def __init__(self, widths: list[int], channels: int, group: int) -> None:
        super().__init__()
        self.from_rgb = nn.Sequential(EqualConv2d(channels, widths[-1], 1), nn.LeakyReLU(SLOPE))
        pairs = list(itertools.pairwise(widths[::-1]))
        self.blocks = nn.ModuleList(
            down_block(outer if place == 0 else outer + channels, outer, inner)
            for place, (outer, inner) in enumerate(pairs)
        )
        self.last = last_block(widths[0], group)

    def forward(self, images: list[Tensor]) -> Tensor:
        """images: (N, channels, side, side) each."""
        x = self.blocks[0](self.from_rgb(images[-1]))
        for block, smaller in zip(self.blocks[1:], reversed(images[:-1]), strict=True):
            x = block(torch.cat([x, smaller], dim=1))
        logits: Tensor = self.last(x)
        return logits.view(-1)


def build(config: GanConfig, channels: int, device: torch.device) -> Form:
    """Its step."""
    network = config.network
    widths = widths_of(network.width, config.data.resolution)
    trainer = Trainer(
        Generator(network.latent_size, widths, channels),
        Discriminator(widths, channels, network.minibatch_std),
        config,
        device,
    )

    def all_scales(real: Tensor) -> list[Tensor]:
        smaller = [F.avg_pool2d(real, 2**level) for level in range(1, len(widths) - 1)]
        return [*smaller[::-1], real]

    return plain_form(trainer, channels, see=all_scales)
