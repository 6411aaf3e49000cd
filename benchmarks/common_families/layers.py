"""Layers that plain networks with an equalized learning rate share, each a module of its own."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAIN = math.sqrt(2)
SLOPE = 0.2


class EqualConv2d(nn.Module):
    """A convolution that keeps the side and multiplies its weights by He's deviation in each pass."""

    def __init__(self, inner: int, outer: int, kernel: int, padding: int = 0, gain: float = GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outer))
        self.scale, self.padding = gain / math.sqrt(inner * kernel**2), padding

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, inner, H, W)."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualConvTranspose2d(nn.Module):
    """What enlarges a single pixel to `kernel` x `kernel` of them."""

    def __init__(self, inner: int, outer: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inner, outer, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outer))
        self.scale = GAIN / math.sqrt(inner)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, inner, 1, 1) -> (N, outer, kernel, kernel)."""
        return F.conv_transpose2d(x, self.weight * self.scale, self.bias)


class EqualLinear(nn.Module):
    """A linear layer with scaled weights; rate: how fast it learns beside other layers."""

    def __init__(self, inner: int, outer: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner) / rate)
        self.bias = nn.Parameter(torch.full((outer,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inner), rate

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, inner)."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class PixelNorm(nn.Module):
    """Each pixel's features over their root mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, ...)."""
        return x * torch.rsqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)


class MinibatchStddev(nn.Module):
    """One more channel: the mean deviation within groups of images."""

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W) -> (N, C + 1, H, W)."""
        _, channels, height, width = x.shape
        groups = x.view(self.group, -1, channels, height, width)
        deviation = torch.sqrt(groups.var(dim=0, unbiased=False) + 1e-8)
        deviation = deviation.mean(dim=[1, 2, 3], keepdim=True)
        deviation = deviation.repeat(self.group, 1, height, width)
        return torch.cat([x, deviation], dim=1)


def up_block(inner: int, outer: int) -> nn.Sequential:
    """Doubles the side: nearest neighbour, then two convolutions, each with a rectifier and pixel norm."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        EqualConv2d(inner, outer, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        PixelNorm(),
        EqualConv2d(outer, outer, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        PixelNorm(),
    )


def first_block(latent_size: int, width: int) -> nn.Sequential:
    """(N, latent_size, 1, 1) -> (N, width, 4, 4)."""
    return nn.Sequential(
        PixelNorm(),
        EqualConvTranspose2d(latent_size, width, 4),
        nn.LeakyReLU(SLOPE),
        PixelNorm(),
        EqualConv2d(width, width, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        PixelNorm(),
    )


def down_block(given: int, outer: int, inner: int) -> nn.Sequential:
    """Halves the side: two convolutions with rectifiers, then means of 2x2 pixels."""
    return nn.Sequential(
        EqualConv2d(given, outer, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        EqualConv2d(outer, inner, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.AvgPool2d(2),
    )


def last_block(width: int, group: int) -> nn.Sequential:
    """(N, width, 4, 4) -> (N, 1)."""
    return nn.Sequential(
        MinibatchStddev(group),
        EqualConv2d(width + 1, width, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        EqualConv2d(width, width, 4),
        nn.LeakyReLU(SLOPE),
        nn.Flatten(),
        EqualLinear(width, 1),
    )


def widths_of(width: int, side: int, most: int = 512) -> list[int]:
    """Channels from side 4 to the image's, at most 512."""
    levels = int(math.log2(side)) - 1
    return [min(width * 2**level, most) for level in reversed(range(levels))]
