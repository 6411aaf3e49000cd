"""Says what is wrong with a run, from the numbers of its ticks: one verdict a tick, with its evidence.

Pure: a verdict depends on nothing but the rows that a run reports, so it can be read again from any table of
them. A new verdict is a new rule in `rules.RULES`. Nothing here imports PyTorch.
"""

import dataclasses
from collections.abc import Sequence

from gan.training.health.rules import LEAST_STEPS, RULES, SLOWER, Finding
from gan.training.health.signals import Row, Signals

HEALTHY = "healthy"
DIVERGED = "diverged"
TROUBLES = tuple(RULES)
"""Names of all verdicts but `healthy`, the one that is looked for first in front."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is the matter with a run after a tick."""

    name: str
    """`healthy`, or one of `TROUBLES`."""
    evidence: str
    """The numbers that show it, in one sentence without a full stop."""
    remedy: str = ""
    """What to try, in one sentence without a full stop; empty when there is nothing to mend."""

    @property
    def is_healthy(self) -> bool:
        """Whether no trouble was found."""
        return self.name == HEALTHY


def verdict(history: Sequence[Row], metric: str) -> Verdict:
    """The verdict on a run after the last of its ticks.

    history: the rows of its ticks, oldest first; numbers may be missing, None or not finite, as in tables of
    other versions and of other metrics: what cannot be known is not found. metric: name of the objective.
    """
    if not history:
        return Verdict(HEALTHY, "no tick has ended yet")
    every, signals = Signals(history, metric), Signals(history, metric, least_steps=LEAST_STEPS)
    for name, rule in RULES.items():
        found: Finding | None = rule(every if name == DIVERGED else signals)
        if found is not None:
            return Verdict(name, found.evidence, found.remedy)
    return Verdict(HEALTHY, _state_of(signals))


def verdicts(history: Sequence[Row], metric: str) -> list[Verdict]:
    """The verdict after each tick, oldest first; see `verdict`."""
    return [verdict(history[:end], metric) for end in range(1, len(history) + 1)]


def of_divergence(reason: str) -> Verdict:
    """The verdict on a run that ended since a number was not finite."""
    return Verdict(DIVERGED, reason, SLOWER)


def _state_of(signals: Signals) -> str:
    if not signals.objective:
        return f"{signals.metric} is not known"
    return f"{signals.metric} is {signals.objective[-1]:.4g} after {signals.images[-1]:,.0f} images"
