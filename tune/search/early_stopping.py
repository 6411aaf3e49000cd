"""Early stopping: rules that say from the values of all trials whether one of them should stop; pure.

A rule is told every value by the trial's number, so that a resumed sweep tells it the values of its event log
and continues as if it had never stopped. Steps are the same for trials of every batch size
(`GanConfig.nominal_images`); of a value, lower is better.
"""

import collections
from typing import Protocol

import numpy as np

MEDIAN_NEEDS = 3
"""Other trials without whose values the median rule stops none."""


class EarlyStoppingRule(Protocol):
    """Decides on trials from their values."""

    def stops(self, number: int, step: int, value: float) -> bool:
        """Note the value of a trial at a step, and say whether the trial should stop there."""


class SuccessiveHalving:
    """Asynchronous successive halving: ASHA (Li et al. 2020), in the variant without promotions of Ray Tune.

    Rungs are at `first`, `first * reduction`, `first * reduction**2` and so on, below `end`. A trial that
    reaches a rung stops when its value is worse than the best 1/`reduction` of the values recorded there
    before; it never waits for other trials.
    """

    def __init__(self, *, first: int, end: int, reduction: int) -> None:
        self._reduction = reduction
        self.rungs: dict[int, dict[int, float]] = {}
        """Values by trial, for each rung's step."""
        step = first
        while step < end:
            self.rungs[step] = {}
            step *= reduction

    def stops(self, number: int, step: int, value: float) -> bool:
        reached = [rung for rung in self.rungs if rung <= step]
        if not reached or number in self.rungs[reached[-1]]:
            return False
        recorded = self.rungs[reached[-1]]
        others, recorded[number] = [-other for other in recorded.values()], value
        # of the negated values, as in Ray Tune: among equal ones, rounding decides in the same way
        return bool(others and -value < np.percentile(others, 100 * (1 - 1 / self._reduction)))


class MedianRule:
    """The median stopping rule (Golovin et al. 2017).

    A trial stops when its best value so far is worse than the median of the other trials' means, each taken
    over the steps from `grace` to this one. Trials that have not come so far do not count.
    """

    def __init__(self, *, grace: int) -> None:
        self._grace = grace
        self.values: dict[int, dict[int, float]] = collections.defaultdict(dict)
        """Values by step, for each trial."""

    def stops(self, number: int, step: int, value: float) -> bool:
        own = self.values[number]
        is_new = step not in own
        own[step] = value
        if step < self._grace or not is_new:
            return False
        means = [
            np.mean([noted for at, noted in values.items() if self._grace <= at <= step])
            for other, values in self.values.items()
            if other != number and max(values) >= step
        ]
        if len(means) < MEDIAN_NEEDS:
            return False
        return bool(min(own.values()) > np.median(means))
