"""the discriminator rests while its loss is under --loss-threshold."""

import dataclasses

from common.errors import require_between
from gan.training.balance import Measured, Policy, SearchRange


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the policy."""

    loss_threshold: float = 0.4
    """For loss: the discriminator's loss under which it rests."""

    def __post_init__(self) -> None:
        require_between("--loss-threshold", self.loss_threshold, -1e6, 1e6)


def _discriminator_trains(settings: Settings, step: int, measured: Measured | None) -> bool:
    # negated, so that it trains on NaN
    return measured is None or not measured.discriminator_loss < settings.loss_threshold


POLICY = Policy(
    discriminator_trains=_discriminator_trains,
    reads_measured=True,
    search_place=1,
    search_ranges={"loss_threshold": SearchRange(0.1, 0.7)},
)
