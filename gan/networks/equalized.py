"""Layers with an equalized learning rate, and pixel norm (Karras et al. 2018, sections 4.1 and 4.2).

Weights are drawn from N(0, 1), and every pass multiplies them by the deviation that He's initialization gives
them: Adam, whose steps do not depend on the size of a gradient, then moves all layers at one speed.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.networks.resized_convolution import spread
from gan.networks.unfolded import conv_transpose2d

LEAKY = 0.2
GAIN = math.sqrt(2 / (1 + LEAKY**2))
"""He's gain before a leaky rectifier of slope `LEAKY`; 1 before none."""
_TINY = 1e-8


class EqualizedConv2d(nn.Conv2d):
    """A convolution that keeps the side, with biases; its weights deviate by gain / sqrt(fan-in)."""

    def __init__(self, inner: int, outer: int, kernel: int, *, gain: float = GAIN) -> None:
        super().__init__(inner, outer, kernel, padding=kernel // 2)
        self.scale = gain / math.sqrt(inner * kernel**2)

    def forward(self, input: Tensor) -> Tensor:
        """input: (N, inner, H, W)."""
        return F.conv2d(input, self.weight * self.scale, self.bias, padding=self.padding)


class EqualizedNearestConv2d(EqualizedConv2d):
    """A convolution 3x3 of pictures resized by nearest neighbour, as one step; see `resized_convolution`."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 3)

    def forward(self, input: Tensor) -> Tensor:
        """input: (N, inner, H, W) -> (N, outer, 2 H, 2 W)."""
        mirrored = (self.weight * self.scale).flip(2, 3).transpose(0, 1)
        return conv_transpose2d(input, spread(mirrored), self.bias)


class EqualizedLinear(nn.Linear):
    """A linear layer with biases; see `EqualizedConv2d`.

    rate: how fast it learns beside other layers; what it computes at first does not depend on it.
    """

    def __init__(self, inner: int, outer: int, *, gain: float = GAIN, rate: float = 1.0) -> None:
        super().__init__(inner, outer)
        self.scale, self.rate = gain / math.sqrt(inner), rate

    def forward(self, input: Tensor) -> Tensor:
        """input: (N, inner)."""
        return F.linear(input, self.weight * (self.scale * self.rate), self.bias * self.rate)


def pixel_norm(features: Tensor) -> Tensor:
    """Each pixel's vector of features, or each row of (N, features), divided by its root mean square.

    Once differentiable.
    """
    result: Tensor = _PixelNorm.apply(features)
    return result


class _PixelNorm(torch.autograd.Function):
    """y = x f, with f = 1 / sqrt(mean(x^2) + tiny), whose gradient is f (g - y mean(g y)).

    PyTorch's own gradient keeps the features a second time, in fp32, and takes more passes over them.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        exact = torch.promote_types(features.dtype, torch.float32)
        length = torch.linalg.vector_norm(features, dim=1, keepdim=True, dtype=exact)
        factor = torch.rsqrt(length.square() / features.shape[1] + _TINY).to(features.dtype)
        result = features * factor
        ctx.save_for_backward(result, factor)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        result, factor = ctx.saved_tensors
        along = (gradient * result).mean(dim=1, keepdim=True)
        return torch.addcmul(gradient, result, along, value=-1).mul_(factor)


def initialize(network: nn.Module, seed: int) -> None:
    """Weights from N(0, 1), biases 0, decided by `seed` alone."""
    randomness = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            rate = module.rate if isinstance(module, EqualizedLinear) else 1.0
            nn.init.normal_(module.weight, std=1 / rate, generator=randomness)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
