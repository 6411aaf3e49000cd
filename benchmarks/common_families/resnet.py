"""Residual networks with spectral normalization (SNGAN) as they are commonly written."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from common_families import Form
from common_families.loop import Trainer, plain_form
from gan.config import GanConfig

FIRST_SIDE, MOST = 4, 16


class UpBlock(nn.Module):
    """(N, inner, H, W) -> (N, outer, 2 H, 2 W)."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(inner, outer, 3, padding=1),
            nn.BatchNorm2d(outer),
            nn.ReLU(),
            nn.Conv2d(outer, outer, 3, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inner, outer, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, inner, H, W)."""
        result: Tensor = self.residual(x) + self.shortcut(x)
        return result


class Generator(nn.Module):
    """latents (N, latent_size) -> images."""

    def __init__(self, latent_size: int, widths: list[int], channels: int) -> None:
        super().__init__()
        self.first = nn.Linear(latent_size, widths[0] * FIRST_SIDE**2)
        self.blocks = nn.Sequential(*(UpBlock(inner, outer) for inner, outer in itertools.pairwise(widths)))
        self.last = nn.Sequential(
            nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.Conv2d(widths[-1], channels, 3, padding=1), nn.Tanh()
        )

    def forward(self, latents: Tensor) -> Tensor:
        """latents: (N, latent_size)."""
        x = self.first(latents).view(len(latents), -1, FIRST_SIDE, FIRST_SIDE)
        images: Tensor = self.last(self.blocks(x))
        return images


class FirstDownBlock(nn.Module):
    """Images -> (N, inner, H / 2, W / 2)."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            spectral_norm(nn.Conv2d(channels, inner, 3, padding=1)),
            nn.ReLU(),
            spectral_norm(nn.Conv2d(inner, inner, 3, padding=1)),
            nn.AvgPool2d(2),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), spectral_norm(nn.Conv2d(channels, inner, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, channels, H, W)."""
        result: Tensor = self.residual(x) + self.shortcut(x)
        return result


class DownBlock(nn.Module):
    """(N, outer, H, W) -> (N, inner, H / 2, W / 2), or H x W where it does not halve the side."""

    def __init__(self, outer: int, inner: int, halves: bool) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.ReLU(),
            spectral_norm(nn.Conv2d(outer, outer, 3, padding=1)),
            nn.ReLU(),
            spectral_norm(nn.Conv2d(outer, inner, 3, padding=1)),
        )
        self.shortcut = spectral_norm(nn.Conv2d(outer, inner, 1)) if halves else nn.Identity()
        self.resize = nn.AvgPool2d(2) if halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, outer, H, W)."""
        result: Tensor = self.resize(self.residual(x)) + self.resize(self.shortcut(x))
        return result


class Discriminator(nn.Module):
    """Images -> logits (N,)."""

    def __init__(self, widths: list[int], channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            FirstDownBlock(channels, widths[0]),
            *(DownBlock(outer, inner, halves=True) for outer, inner in itertools.pairwise(widths)),
            DownBlock(widths[-1], widths[-1], halves=False),
        )
        self.to_logit = spectral_norm(nn.Linear(widths[-1], 1))

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, channels, H, W)."""
        features = F.relu(self.blocks(images))
        logits: Tensor = self.to_logit(features.sum(dim=(2, 3)))
        return logits.view(-1)


def build(config: GanConfig, channels: int, device: torch.device) -> Form:
    """Its step."""
    depth = int(math.log2(config.data.resolution // FIRST_SIDE))
    inwards = [config.network.width * min(2**level, MOST) for level in range(depth)]
    generator = Generator(config.network.latent_size, [inwards[-1], *inwards[::-1]], channels)
    discriminator = Discriminator(inwards, channels)
    return plain_form(Trainer(generator, discriminator, config, device), channels)
