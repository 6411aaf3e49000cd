"""images at all scales at once, which a discriminator sees together (Karnewar and Wang 2020).

MSG-GAN: gradients reach every layer of the generator directly, so that it needs no schedule of growth.
"""

from typing import TYPE_CHECKING

from gan.networks.families._built import built_from

if TYPE_CHECKING:
    from torch import Tensor, nn


def scales(resolution: int) -> int:
    """Sides from 8 up to the resolution, each twice the one before."""
    return resolution.bit_length() - 3


def draw_scales(generator: "nn.Module", latents: "Tensor") -> "list[Tensor]":
    """The images at every scale, (N, C, side, side) each, the largest first."""
    from gan.networks.families.msg.networks import Generator

    assert isinstance(generator, Generator)
    return generator.all_scales(latents)


FAMILY = built_from(
    "gan.networks.families.msg.networks",
    recomputes=True,
    scales=scales,
    draw_scales=draw_scales,
)
