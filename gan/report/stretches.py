"""Stretches of a run with one verdict, from the rows of its ticks."""

import dataclasses
from collections.abc import Sequence

from gan.run_folder import Row
from gan.training.health import Verdict, verdicts


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Ticks in a row with the same verdict."""

    verdict: Verdict
    """That of the last of them."""
    since: float
    """Images at the end of the tick before the first of them, 0 for the first tick."""
    until: float
    """Images at the end of the last of them."""
    ticks: int


def stretches(history: Sequence[Row], metric: str) -> list[Stretch]:
    """The stretches of a run, oldest first; together they cover all its ticks."""
    found: list[Stretch] = []
    before = 0.0
    for row, verdict in zip(history, verdicts(history, metric), strict=True):
        images = row["images_seen"]
        if found and found[-1].verdict.name == verdict.name:
            last = found[-1]
            found[-1] = Stretch(verdict, last.since, images, last.ticks + 1)
        else:
            found.append(Stretch(verdict, before, images, 1))
        before = images
    return found
