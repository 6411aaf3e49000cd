"""residual blocks that halve or double the side (Miyato et al. 2018), with self-attention where asked for.

In the paper the discriminator's weights are spectrally normalized: give `--spectral-norm`, and
`--loss hinge`. Without it the discriminator has BatchNorm, or layer normalization where its gradient is
penalized.
"""

import dataclasses
from typing import Any, Literal

from common.errors import require
from gan.networks.families._built import built_from

Attention = Literal[0, 8, 16, 32, 64]
Widening = Literal["double", "none"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the family."""

    attention: Attention = 0
    """For resnet: side in pixels of the features that get self-attention, in both networks (Zhang et al.
    2019), at most half the image's; 0: off."""
    widening: Widening = "double"
    """For resnet: channels of smaller layers. double: twice as many, at most 16 times, as in the paper's
    networks for large images; none: as many everywhere, in the generator twice --width, as for CIFAR-10."""


def _check(config: Any, resolution: int) -> None:
    require(
        config.attention <= resolution // 2,
        f"--attention must be at most half of --resolution {resolution}, not {config.attention}; "
        f"try {min(32, resolution // 2)}",
    )


FAMILY = built_from(
    "gan.networks.families.resnet.networks",
    check=_check,
)
