"""StyleGAN2 as it is commonly written: weights modulated for each sample, convolved in groups."""

import itertools
import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common_families.layers import SLOPE, EqualConv2d, EqualLinear, PixelNorm, last_block

MAPPING_RATE = 0.01


class ModulatedConv2d(nn.Module):
    """A convolution with other weights for each sample, which its style scales."""

    def __init__(
        self, inner: int, outer: int, kernel: int, style_size: int, demodulates: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outer, inner, kernel, kernel))
        self.modulation = EqualLinear(style_size, inner, bias=1.0)
        self.scale, self.padding = 1 / math.sqrt(inner * kernel**2), kernel // 2
        self.demodulates = demodulates

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x: (N, inner, H, W); style: (N, style_size)."""
        count, _, height, width = x.shape
        weights = self.scale * self.weight[None] * self.modulation(style)[:, None, :, None, None]
        if self.demodulates:
            norms = torch.rsqrt((weights**2).sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
            weights = weights * norms
        groups = x.reshape(1, -1, height, width)
        found = F.conv2d(groups, weights.flatten(0, 1), padding=self.padding, groups=count)
        return found.reshape(count, -1, height, width)


class Noise(nn.Module):
    """Adds noise of a learned strength."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W)."""
        noise = torch.randn(x.shape[0], 1, x.shape[2], x.shape[3], device=x.device)
        return x + self.strength * noise


class StyledConv(nn.Module):
    """A modulated convolution 3x3, noise, a bias and a rectifier, after doubling the side where asked for."""

    def __init__(self, inner: int, outer: int, style_size: int, doubles: bool = False) -> None:
        super().__init__()
        upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.resize = upsample if doubles else nn.Identity()
        self.conv, self.noise = ModulatedConv2d(inner, outer, 3, style_size), Noise()
        self.bias = nn.Parameter(torch.zeros(1, outer, 1, 1))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x: (N, inner, H, W); style: (N, style_size)."""
        x = self.noise(self.conv(self.resize(x), style))
        activated: Tensor = F.leaky_relu(x + self.bias, SLOPE) * math.sqrt(2)
        return activated


class ToRgb(nn.Module):
    """An image from features, added to the enlarged image of half the side."""

    def __init__(self, width: int, channels: int, style_size: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(width, channels, 1, style_size, demodulates=False)
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.resize = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, x: Tensor, style: Tensor, before: Tensor | None = None) -> Tensor:
        """x: (N, width, H, W); before: (N, channels, H / 2, W / 2)."""
        image: Tensor = self.conv(x, style) + self.bias
        return image if before is None else image + self.resize(before)


class Generator(nn.Module):
    """One latent (N, latent_size), or two that are mixed -> images."""

    def __init__(self, latent_size: int, widths: list[int], channels: int, mapping_layers: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [PixelNorm()]
        for _ in range(mapping_layers):
            layers += [EqualLinear(latent_size, latent_size, rate=MAPPING_RATE), nn.LeakyReLU(SLOPE)]
        self.mapping = nn.Sequential(*layers)
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.convs = nn.ModuleList([StyledConv(widths[0], widths[0], latent_size)])
        self.to_rgb = nn.ModuleList([ToRgb(widths[0], channels, latent_size)])
        for inner, outer in itertools.pairwise(widths):
            self.convs.append(StyledConv(inner, outer, latent_size, doubles=True))
            self.convs.append(StyledConv(outer, outer, latent_size))
            self.to_rgb.append(ToRgb(outer, channels, latent_size))

    def styles(self, latents: list[Tensor]) -> Tensor:
        """The style of each layer (N, layers, latent_size), the second one from a random layer on."""
        first, *others = [self.mapping(each)[:, None] for each in latents]
        layers = len(self.convs)
        if not others:
            return first.repeat(1, layers, 1)
        crossing = random.randint(1, layers - 1)
        mixed = [first.repeat(1, crossing, 1), others[0].repeat(1, layers - crossing, 1)]
        return torch.cat(mixed, dim=1)

    def forward(self, latents: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The images, and the styles that made them."""
        styles = self.styles(latents)
        x = self.convs[0](self.constant.repeat(len(styles), 1, 1, 1), styles[:, 0])
        image = self.to_rgb[0](x, styles[:, 0])
        for place, to_rgb in enumerate(self.to_rgb[1:]):
            x = self.convs[2 * place + 1](x, styles[:, 2 * place + 1])
            x = self.convs[2 * place + 2](x, styles[:, 2 * place + 2])
            image = to_rgb(x, styles[:, 2 * place + 2], image)
        return torch.tanh(image), styles


class ResidualBlock(nn.Module):
    """Halves the side: two convolutions beside a convolution 1x1."""

    def __init__(self, outer: int, inner: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            EqualConv2d(outer, outer, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            EqualConv2d(outer, inner, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.AvgPool2d(2),
        )
        self.skip = nn.Sequential(nn.AvgPool2d(2), EqualConv2d(outer, inner, 1, gain=1))

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, outer, H, W)."""
        result: Tensor = (self.convs(x) + self.skip(x)) / math.sqrt(2)
        return result


class Discriminator(nn.Module):
    """Images -> logits (N,)."""

    def __init__(self, widths: list[int], channels: int, group: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            EqualConv2d(channels, widths[-1], 1),
            nn.LeakyReLU(SLOPE),
            *(ResidualBlock(outer, inner) for outer, inner in itertools.pairwise(widths[::-1])),
            last_block(widths[0], group),
        )

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, channels, H, W)."""
        logits: Tensor = self.layers(images)
        return logits.view(-1)
