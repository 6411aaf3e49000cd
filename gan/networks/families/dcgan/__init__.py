"""4x4 convolutions that halve or double the side (Radford et al. 2015).

The generator's layers that double it resize and convolve 3x3; with `--upsampling transposed` they are
transposed convolutions as in the paper.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from gan.networks.families._built import built_from

Upsampling = Literal["transposed", "nearest"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the family."""

    EARLIER: ClassVar[Mapping[str, Any]] = {"upsampling": "transposed"}

    upsampling: Upsampling = "nearest"
    """For dcgan: how the generator doubles the side. nearest: resize by nearest neighbour and convolve 3x3,
    with fewer checkerboards (Odena et al. 2016); transposed: transposed convolution 4x4, as in the paper."""


FAMILY = built_from("gan.networks.families.dcgan.networks")
