"""Layers of the generator that double the side.

A transposed convolution has other weights for each of the four pixels that one becomes, so that checkerboards
are easily learned. Where pixels are resized first and convolved then, they are not (Odena, Dumoulin and Olah
2016, "Deconvolution and checkerboard artifacts").

Bilinear resizing was measured too and left out: it draws swirls that look like no thing, and the feature
networks prefer them, so that a search would choose it.
"""

from typing import TYPE_CHECKING

from torch import nn

from gan.networks.resized_convolution import NearestConv2d
from gan.networks.unfolded import UnfoldedConvTranspose2d

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
