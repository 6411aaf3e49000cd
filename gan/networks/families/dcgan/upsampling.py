"""Layers of the generator that double the side.

A transposed convolution has other weights for each of the four pixels that one becomes, so that checkerboards
are easily learned. Where pixels are resized first and convolved then, they are not (Odena, Dumoulin and Olah
2016, "Deconvolution and checkerboard artifacts").

Bilinear resizing was measured too and left out: it draws swirls that look like no thing, and the feature
networks prefer them, so that a search would choose it.
"""

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from gan.networks.unfolded import UnfoldedConvTranspose2d, conv_transpose2d

if TYPE_CHECKING:
    from gan.networks.families.dcgan import Upsampling


def doubling(kind: "Upsampling", inner: int, outer: int, *, to_image: bool = False) -> nn.Module:
    """A layer without biases: (N, inner, H, W) -> (N, outer, 2 H, 2 W).

    to_image: the generator's last layer, which has too few channels for unfolding to pay.
    """
    if kind == "nearest":
        return NearestConv2d(inner, outer)
    layer = nn.ConvTranspose2d if to_image else UnfoldedConvTranspose2d
    return layer(inner, outer, 4, stride=2, padding=1, bias=False)


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
        rows = F.pad(self.weight, (0, 0, 0, 1)) + F.pad(self.weight, (0, 0, 1, 0))
        return conv_transpose2d(input, F.pad(rows, (0, 1)) + F.pad(rows, (1, 0)))
