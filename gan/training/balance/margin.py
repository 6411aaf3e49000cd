"""the player that is behind trains: one that is ahead by over --accuracy-margin rests."""

import dataclasses

from common.errors import require, require_between
from gan.training.balance import Measured, Policy, SearchRange


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the policy."""

    accuracy_level: float = 0.7
    """For margin: mean of the accuracies on real and on generated images at which the players are level, 0 to
    1."""
    accuracy_margin: float = 0.15
    """For margin: how far the accuracy may be over the level before the discriminator rests, and under it
    before the generator rests, 0 to 1."""
    longest_rest: int = 10
    """For margin: both train in every so manieth step, so that none rests for ever; 1: always."""

    def __post_init__(self) -> None:
        require_between("--accuracy-level", self.accuracy_level, 0, 1)
        require_between("--accuracy-margin", self.accuracy_margin, 0, 1)
        require(
            1 <= self.longest_rest <= 1000,
            f"--longest-rest must lie between 1 and 1000, not {self.longest_rest}; try 10",
        )


# After the rule in the authors' code of Larsen et al. 2016, "Autoencoding beyond pixels using a learned
# similarity metric": a player rests where the discriminator's loss is further than a margin from that of
# equilibrium, and if both would rest, both train. Departures: it compares the accuracy, which means the same
# with every loss; the level may be over one half, since a discriminator that only guesses teaches nothing;
# and none rests for ever.
def _lead(settings: Settings, step: int, measured: Measured | None) -> float:
    """How far the discriminator is ahead; 0 where nothing is known and where both train by the calendar."""
    if measured is None or (step + 1) % settings.longest_rest == 0:
        return 0.0
    return (measured.accuracy_real + measured.accuracy_fake) / 2 - settings.accuracy_level


def _discriminator_trains(settings: Settings, step: int, measured: Measured | None) -> bool:
    # negated, so that it trains on NaN
    return not _lead(settings, step, measured) > settings.accuracy_margin


def _generator_trains(settings: Settings, step: int, measured: Measured | None) -> bool:
    return not _lead(settings, step, measured) < -settings.accuracy_margin


POLICY = Policy(
    discriminator_trains=_discriminator_trains,
    generator_trains=_generator_trains,
    reads_measured=True,
    search_ranges={
        "accuracy_level": SearchRange(0.5, 0.85),
        "accuracy_margin": SearchRange(0.02, 0.3),
    },
)
