"""Convolutions 3x3 after enlarging, or before shrinking, as one step with fewer products.

Resizing is as linear as convolving, so the weights can be spread instead of the many more pixels. The results
are those of both steps, up to rounding.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from gan.networks.normalization import SpectralConv2d, spectrally_normalized
from gan.networks.unfolded import conv_transpose2d


class NearestConv2d(nn.ConvTranspose2d):
    """A convolution 3x3 with padding 1 and without biases of pictures resized by nearest neighbour.

    Resizing spreads each pixel over 2x2. Convolving that is convolving once with a kernel that is spread in
    the same way: the weights are resized instead of the many more pixels, and what remains is a transposed
    convolution 4x4 with stride 2, as fast as one whose 16 weights are learned.
    Weights are stored as a transposed convolution has them: (inner, outer, 3, 3), mirrored.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 3, padding=1, bias=False)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """input: (N, inner, H, W)."""
        return conv_transpose2d(input, spread(self.weight))


class PooledConv2d(nn.Conv2d):
    """A convolution 3x3 with padding 1 whose result is averaged over 2x2 pixels.

    The mean of four neighbouring results is one result of a kernel 4x4, the mean of the four places of the
    3x3 weights within it: a convolution with stride 2, and 16 products where there were 36.
    """

    def __init__(self, outer: int, inner: int, bias: bool = True) -> None:
        super().__init__(outer, inner, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """input: (N, outer, 2 H, 2 W) -> (N, inner, H, W)."""
        return F.conv2d(input, spread(self.weight) / 4, self.bias, stride=2, padding=1)


class SpectralPooledConv2d(SpectralConv2d):
    """`PooledConv2d` whose 3x3 weights have spectral norm 1."""

    def __init__(self, outer: int, inner: int, bias: bool = True) -> None:
        super().__init__(outer, inner, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """input: (N, outer, 2 H, 2 W) -> (N, inner, H, W)."""
        weight = spectrally_normalized(self.weight, self.u, self.training)
        return F.conv2d(input, spread(weight) / 4, self.bias, stride=2, padding=1)


def spread(weight: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4, 4): the sum of the weights at the four places that they have within 4x4."""
    rows = F.pad(weight, (0, 0, 0, 1)) + F.pad(weight, (0, 0, 1, 0))
    return F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))
