"""Layers of a style generator: the mapping network, and convolutions that a style modulates."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.networks.equalized import EqualizedLinear, pixel_norm
from gan.networks.growing_blocks import leaky

MAPPING_RATE = 0.01
"""How much slower than all else the mapping network learns, as in the papers."""
_TINY = 1e-8


class Mapping(nn.Module):
    """latents (N, size) -> styles (N, size): linear layers, each followed by a leaky rectifier."""

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualizedLinear(size, size, rate=MAPPING_RATE) for _ in range(layers))

    def forward(self, latents: Tensor) -> Tensor:
        """latents: (N, size), standard normal."""
        x = pixel_norm(latents)
        for layer in self.layers:
            x = leaky(layer(x))
        return x


class ModulatedConv2d(nn.Conv2d):
    """A convolution without biases whose weights each image's style scales by input channel.

    Karras et al. 2020, section 2.2. With demodulation each image's weights are then scaled to norm 1 for each
    output channel. Both scales act on a channel as a whole, so that they multiply the features before and
    after one convolution with the same weights for all images. gain: factor of what is demodulated.
    """

    def __init__(
        self,
        inner: int,
        outer: int,
        kernel: int,
        style_size: int,
        *,
        demodulates: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__(inner, outer, kernel, padding=kernel // 2, bias=False)
        self.to_scales = EqualizedLinear(style_size, inner, gain=1)
        self.scale = (inner * kernel**2) ** -0.5
        self.demodulates, self.gain = demodulates, gain

    def forward(self, features: Tensor, styles: Tensor) -> Tensor:  # type: ignore[override]  # takes styles
        """features: (N, inner, H, W); styles: (N, style_size)."""
        scales = self.to_scales(styles) + 1
        weight = self.weight * self.scale
        modulated = features * scales[:, :, None, None].to(features.dtype)
        result = F.conv2d(modulated, weight.to(features.dtype), padding=self.padding)
        if not self.demodulates:
            return result
        squares = scales.float().square() @ weight.float().square().sum(dim=(2, 3)).T
        factors = torch.rsqrt(squares + _TINY) * self.gain
        return result * factors[:, :, None, None].to(result.dtype)


class StyledConv2d(nn.Module):
    """A modulated convolution 3x3, then noise of a learned strength, a bias and a leaky rectifier.

    All times gain, which acts before the rectifier: that leaves it as it is, and there it costs nothing.
    """

    def __init__(self, inner: int, outer: int, style_size: int, *, gain: float) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inner, outer, 3, style_size, gain=gain)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outer))

    def forward(self, features: Tensor, styles: Tensor, noise: Tensor) -> Tensor:
        """features: (N, inner, H, W); styles: (N, style_size); noise: (N or 1, 1, H, W)."""
        x = self.conv(features, styles)
        shift = (self.strength * noise + self.bias[:, None, None]) * self.conv.gain
        return leaky(x + shift.to(x.dtype))


def doubled(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2 H, 2 W), filtered by [1, 3, 3, 1], which is linear interpolation."""
    return F.interpolate(features, scale_factor=2, mode="bilinear")
