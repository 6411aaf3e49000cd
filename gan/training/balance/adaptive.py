"""both train, and images are augmented the more often the more the discriminator overfits."""

import dataclasses
import math
from typing import TYPE_CHECKING

from common.errors import require
from gan.training.balance import Policy, SearchRange

if TYPE_CHECKING:
    import torch

    from gan.training.balance._probability import AdaptiveProbability


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the policy."""

    augment_target: float = 0.5
    """For adaptive: overfitting over which the probability of --augment (none: all of them) rises, and under
    which it falls. 0: held-out images are judged like training images; 1: like generated ones."""
    augment_every: int = 8
    """For adaptive: steps from one measurement of the overfitting to the next."""
    augment_speed: float = 0.1
    """For adaptive: change of the probability in 1,000 images."""

    def __post_init__(self) -> None:
        require(
            math.isfinite(self.augment_target) and -10 <= self.augment_target <= 10,
            f"--augment-target must lie between -10 and 10, not {self.augment_target:g}; try 0.5",
        )
        require(
            1 <= self.augment_every <= 10_000,
            f"--augment-every must lie between 1 and 10000, not {self.augment_every}; try 8",
        )
        require(
            math.isfinite(self.augment_speed) and 0 < self.augment_speed <= 1000,
            f"--augment-speed must be above 0 and at most 1000, not {self.augment_speed:g}; try 0.1",
        )


def _probability(settings: Settings, device: "torch.device") -> "AdaptiveProbability":
    from gan.training.balance._probability import AdaptiveProbability

    return AdaptiveProbability(
        target=settings.augment_target,
        every=settings.augment_every,
        speed=settings.augment_speed,
        device=device,
    )


POLICY = Policy(
    augment_probability=_probability,
    search_ranges={
        "augment_target": SearchRange(0.1, 0.8),
        "augment_speed": SearchRange(0.02, 0.5, log=True),
    },
)
