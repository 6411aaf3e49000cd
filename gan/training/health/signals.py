"""What verdicts are read from: the numbers of a run's ticks, with what is missing or not finite left out."""

import math
import statistics
from collections.abc import Mapping, Sequence

Row = Mapping[str, float | None]
"""The numbers of one tick; absent, None or NaN where one is not known."""

SMOOTHED_OVER = 3
"""Ticks whose median is the smoothed objective: one lucky or unlucky tick does not move it."""


ALL_BURNT = 0.95
"""Share of burnt values, beyond that of real images, above which images are garbage, whose objective says
nothing: it may fall by half and rise again. Rates of 0.1, at which shapes still get better, reached 0.88;
rates of 1 lay above 0.99 by the second tick."""


class Signals:
    """The numbers of a run up to a tick.

    Args:
        history: the rows of all ticks so far, oldest first.
        metric: name of the objective, of which lower is better.
        least_steps: training steps that lie at least between two ticks that are read; others are left out.
    """

    def __init__(self, history: Sequence[Row], metric: str, *, least_steps: int = 0) -> None:
        places = spaced(history, least_steps)
        self._history, self.metric = [history[place] for place in places], metric
        known = [
            (value, place)
            for place, row in enumerate(self._history)
            if (value := objective_of(row, metric)) is not None
        ]
        self.objective = [value for value, _ in known]
        """The finite values of the objective, oldest first; those of garbage left out."""
        self._measured = [place for _, place in known]
        """Of their ticks, among those that are read."""
        self.images = [finite(self._history[place].get("images_seen")) or 0.0 for place in self._measured]
        """Images seen at each of them."""
        self.smoothed = smoothed(self.objective)
        self._places = places
        """Of the ticks that are read, among all."""

    @property
    def ticks(self) -> int:
        """Ticks that are read."""
        return len(self._history)

    @property
    def steps(self) -> float:
        """Training steps so far; infinite where they are not known."""
        step = finite(self.last.get("step"))
        return math.inf if step is None else step

    def all_ticks(self, ticks: int) -> int:
        """How many ticks the last `ticks` that are read stand for."""
        return self._places[-1] - self._places[-1 - ticks] if ticks < len(self._places) else ticks

    @property
    def last(self) -> Row:
        """The numbers of the last tick."""
        return self._history[-1]

    @property
    def best_place(self) -> int:
        """Place of the first of the lowest smoothed values."""
        return self.smoothed.index(min(self.smoothed))

    def mean(self, name: str, ticks: int = 2) -> float | None:
        """Mean of a number over the last `ticks` ticks; None where one of them lacks it.

        name: a key of the rows, or its part before the network's name and the count of images, as `recall` of
        `recall_lite0_1k`.
        """
        return self._mean(self._history[-ticks:], name)

    @property
    def accuracy(self) -> float | None:
        """Share of all images about which the discriminator was right in the last two ticks."""
        return self._accuracy(self._history[-2:])

    @property
    def accuracy_at_best(self) -> float | None:
        """The same for the tick of the lowest smoothed value and the one before it."""
        if not self._measured:
            return None
        end = self._measured[self.best_place] + 1
        return self._accuracy(self._history[max(0, end - 2) : end])

    def latest(self, name: str, ticks: int) -> list[tuple[int, float]]:
        """A number in the last `ticks` ticks: place of the tick, from 0, and value; name: see `mean`."""
        rows = list(enumerate(self._history))[-ticks:]
        found = [(place, self._value(row, name)) for place, row in rows]
        return [(place, value) for place, value in found if value is not None]

    def _accuracy(self, rows: Sequence[Row]) -> float | None:
        real, fake = self._mean(rows, "accuracy_real"), self._mean(rows, "accuracy_fake")
        return None if real is None or fake is None else (real + fake) / 2

    def _mean(self, rows: Sequence[Row], name: str) -> float | None:
        found = [self._value(row, name) for row in rows]
        present = [value for value in found if value is not None]
        return statistics.fmean(present) if len(present) == len(found) > 0 else None

    def _value(self, row: Row, name: str) -> float | None:
        if name in row:
            return finite(row[name])
        keys = (key for key in row if key.startswith(f"{name}_") and not key.endswith("_noise"))
        return finite(row.get(next(keys, "")))


def spaced(history: Sequence[Row], least_steps: int) -> list[int]:
    """Places of the last tick and of those before it that are at least so many training steps apart.

    Oldest first. A tick whose steps are not known is kept, and one of more steps than a later one: there the
    run is a copy of another.
    """
    places: list[int] = []
    later = math.inf
    for place in reversed(range(len(history))):
        step = finite(history[place].get("step"))
        if step is not None and 0 <= later - step < least_steps:
            continue
        places.append(place)
        later = math.inf if step is None else step
    return places[::-1]


def objective_of(row: Row, metric: str) -> float | None:
    """A tick's value of the objective, None unless it is finite, and for garbage."""
    burnt = finite(row.get("burnt"))
    return finite(row.get(metric)) if burnt is None or burnt <= ALL_BURNT else None


def finite(value: float | None) -> float | None:
    """The value, None unless it is a finite number."""
    return value if value is not None and math.isfinite(value) else None


def smoothed(values: Sequence[float]) -> list[float]:
    """For each value the median of it and those just before it, `SMOOTHED_OVER` in all."""
    return [statistics.median(values[max(0, end - SMOOTHED_OVER) : end]) for end in range(1, len(values) + 1)]
