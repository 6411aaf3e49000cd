"""the discriminator rests while its accuracy is over --accuracy-threshold."""

import dataclasses

from common.errors import require_between
from gan.training.balance import Measured, Policy, SearchRange


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the policy."""

    accuracy_threshold: float = 0.9
    """For accuracy: the mean of the accuracies on real and on generated images over which the discriminator
    rests, 0 to 1."""

    def __post_init__(self) -> None:
        require_between("--accuracy-threshold", self.accuracy_threshold, 0, 1)


def _discriminator_trains(settings: Settings, step: int, measured: Measured | None) -> bool:
    # negated, so that it trains on NaN
    return (
        measured is None
        or not (measured.accuracy_real + measured.accuracy_fake) / 2 > settings.accuracy_threshold
    )


POLICY = Policy(
    discriminator_trains=_discriminator_trains,
    reads_measured=True,
    search_place=2,
    search_ranges={"accuracy_threshold": SearchRange(0.6, 0.95)},
)
