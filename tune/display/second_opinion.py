"""What a second network says of a sweep's winner, as a line for the terminal."""

from collections.abc import Mapping
from typing import NamedTuple

from tune.records.events import StateConfirmed
from tune.records.trial_records import BASELINE_NUMBER, Trial, best_of, trial_name


class _Compared(NamedTuple):
    """Two states by one metric, of which lower is better."""

    metric: str
    value: float
    other: float
    noise: float

    def is_clear(self) -> bool:
        """Whether the first is better by more than the metric's noise floor."""
        return self.other - self.value > abs(self.noise)

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.4g} against {self.other:.4g} (noise floor {self.noise:.3g})"


def second_opinion(trials: Mapping[int, Trial]) -> str | None:
    """A line where the two networks disagree on the winner, or it does not beat the base settings by both.

    Differences up to a metric's noise floor do not count. The line names the other trial: the one that the
    second network prefers, and the one with the base settings. None where all is well, and where the winner
    was not measured by a second network.
    """
    states = [state for trial in trials.values() for state in trial.confirmed.values()]
    winner = best_of((state.value, state) for state in states)
    if winner is None or winner.second is None:
        return None
    # a resumed sweep may have values of another protocol, which do not compare
    states = [
        state
        for state in states
        if state.metric == winner.metric and state.second_metric in (winner.second_metric, None)
    ]
    preferred = _preferred(winner, states)
    said = [] if preferred is None else [_disagreement(winner, preferred)]
    if winner.number != BASELINE_NUMBER:
        base = best_of((state.value, state) for state in states if state.number == BASELINE_NUMBER)
        unclear = [] if base is None else _not_clearly_better(winner, base, preferred)
        if base is not None and unclear:
            who = f"{trial_name(winner.number)} does not clearly beat {trial_name(base.number)}"
            said.append(f"{who}: {' and '.join(unclear)}")
    elif preferred is None and any(state.number != BASELINE_NUMBER for state in states):
        by = f"neither by {winner.metric} nor by {winner.second_metric}"
        said.append(f"no trial clearly beats {trial_name(winner.number)}, {by}")
    return "; ".join(said) or None


def _preferred(winner: StateConfirmed, states: list[StateConfirmed]) -> StateConfirmed | None:
    """The best state by the second network where that is another trial's, and clearly better."""
    other = best_of((state.second, state) for state in states)
    if other is None or other.number == winner.number:
        return None
    compared = _by_second(other, winner)
    return other if compared is not None and compared.is_clear() else None


def _disagreement(winner: StateConfirmed, preferred: StateConfirmed) -> str:
    return (
        f"{trial_name(winner.number)} is best by {winner.metric}, but {trial_name(preferred.number)} by "
        f"{_by_second(preferred, winner)}: compare the samples of both"
    )


def _not_clearly_better(
    winner: StateConfirmed, base: StateConfirmed, preferred: StateConfirmed | None
) -> list[str]:
    """The comparisons with the base settings, by either network, that the winner does not clearly win."""
    compared = [_Compared(winner.metric, winner.value, base.value, winner.noise)]
    by_second = _by_second(winner, base)
    is_said = preferred is not None and preferred.number == BASELINE_NUMBER
    if by_second is not None and not is_said:
        compared.append(by_second)
    return [str(each) for each in compared if not each.is_clear()]


def _by_second(state: StateConfirmed, other: StateConfirmed) -> _Compared | None:
    if state.second is None or other.second is None or state.second_metric is None:
        return None
    return _Compared(state.second_metric, state.second, other.second, state.second_noise or 0.0)
