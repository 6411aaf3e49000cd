"""The residual blocks of both networks: what doubles the side, what halves it, and what keeps it.

Miyato et al. 2018, appendix B.4, after Gulrajani et al. 2017: normalization and ReLU before each of two 3x3
convolutions, with resizing before the first or after the second, beside a 1x1 convolution of the resized
input. The figures do not say where the channels change; as in the authors' code it is the first convolution
of the generator's blocks, and the second of the discriminator's except where it sees images.

Resizing is joined with its 3x3 convolution, and the 1x1 convolution is on the smaller side: the same results
with less than half the products.
"""

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from gan.networks.normalization import SpectralConv2d, batch_norm, discriminator_norm
from gan.networks.resized_convolution import NearestConv2d, PooledConv2d, SpectralPooledConv2d

if TYPE_CHECKING:
    from gan.networks import CriticNorm
    from gan.networks.config import NetworkConfig


class UpBlock(nn.Module):
    """The generator's block: (N, inner, H, W) -> (N, outer, 2 H, 2 W).

    Departure: no biases, since the next BatchNorm subtracts them whole. Adam would move them by the rounding
    errors of their gradients.
    """

    def __init__(self, inner: int, outer: int, config: "NetworkConfig") -> None:
        super().__init__()
        self.first_norm, self.second_norm = batch_norm(inner, config), batch_norm(outer, config)
        self.first = NearestConv2d(inner, outer)
        self.second = nn.Conv2d(outer, outer, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inner, outer, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """features: (N, inner, H, W)."""
        x: Tensor = self.first(F.relu_(self.first_norm(features)))
        x = self.second(F.relu_(self.second_norm(x)))
        # a 1x1 convolution and resizing by nearest neighbour may change places
        return x + F.interpolate(self.shortcut(features), scale_factor=2, mode="nearest")


class DownBlock(nn.Module):
    """The discriminator's block: (N, outer, 2 H, 2 W) -> (N, inner, H, W).

    is_first: it sees images, to which neither normalization nor ReLU is applied.
    """

    def __init__(
        self, outer: int, inner: int, config: "NetworkConfig", norm: "CriticNorm", *, is_first: bool = False
    ) -> None:
        super().__init__()
        spectral = config.spectral_norm
        conv, pooled = (SpectralConv2d, SpectralPooledConv2d) if spectral else (nn.Conv2d, PooledConv2d)
        middle = inner if is_first else outer
        self.before = nn.Identity() if is_first else Activation(outer, config, norm)
        self.first = conv(outer, middle, 3, padding=1, bias=_has_bias(config, norm))
        self.between = Activation(middle, config, norm)
        self.second = pooled(middle, inner)
        self.shortcut = conv(outer, inner, 1)

    def forward(self, features: Tensor) -> Tensor:
        """features: (N, outer, 2 H, 2 W)."""
        x: Tensor = self.second(self.between(self.first(self.before(features))))
        # a 1x1 convolution and averaging may change places
        shortcut: Tensor = self.shortcut(F.avg_pool2d(features, 2))
        return x + shortcut


class PlainBlock(nn.Module):
    """The discriminator's block that keeps side and channels: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int, config: "NetworkConfig", norm: "CriticNorm") -> None:
        super().__init__()
        conv = SpectralConv2d if config.spectral_norm else nn.Conv2d
        self.before, self.between = Activation(channels, config, norm), Activation(channels, config, norm)
        self.first = conv(channels, channels, 3, padding=1, bias=_has_bias(config, norm))
        self.second = conv(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """features: (N, C, H, W)."""
        x: Tensor = self.second(self.between(self.first(self.before(features))))
        return features + x


class Activation(nn.Sequential):
    """The discriminator's normalization, if it has one, and ReLU."""

    def __init__(self, channels: int, config: "NetworkConfig", norm: "CriticNorm") -> None:
        # not in place: without normalization its input is the shortcut's too
        super().__init__(discriminator_norm(channels, config, norm), nn.ReLU())


def _has_bias(config: "NetworkConfig", norm: "CriticNorm") -> bool:
    """Whether the convolution before a normalization needs biases: BatchNorm would subtract them whole."""
    return config.spectral_norm or norm == "layer"
