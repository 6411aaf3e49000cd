"""What the patterns in a winner's samples say against it, as a line for the terminal.

A search finds the place that its objective overlooks. On photos at 64 pixels one found a winner that is
garish and lies in blocks; four networks preferred it (docs/metrics.md), and only the energy of its patterns
shows it.
"""

import math
from collections.abc import Mapping

from gan.metrics.config import CHECKERBOARD
from tune.records.events import StateConfirmed
from tune.records.trial_records import BASELINE_NUMBER, Trial, best_of, trial_name

_AS_REAL = 1.0
_TOO_MUCH = 2.0
"""Times the patterns of real images, and of the base settings where these are more, above which a winner is
named. Sound winners of searches lay between 0.7 and 1.7 times, the one above at 3."""


def patterned_winner(trials: Mapping[int, Trial]) -> str | None:
    """A line where the samples of the winner are far more patterned than real images and the base settings'.

    It names the best state without such patterns, if there is one. The winner is the best of the states that
    were measured again. None where all is well, and where patterns were not measured.
    """
    states = [state for trial in trials.values() for state in trial.confirmed.values()]
    winner = best_of((state.value, state) for state in states)
    if winner is None:
        return None
    # a resumed sweep may have values of another protocol, which do not compare
    states = [state for state in states if state.metric == winner.metric]
    base = best_of((state.value, state) for state in states if state.number == BASELINE_NUMBER)
    of_winner, of_base = _pattern(trials, winner), _pattern(trials, base)
    limit = _TOO_MUCH * max(of_base or 0, _AS_REAL)
    if of_winner is None or of_winner <= limit:
        return None
    beside = f"real images {_AS_REAL:g}"
    if of_base is not None:
        beside = f"{trial_name(BASELINE_NUMBER)} {of_base:.2g}, {beside}"
    plain = best_of(
        (state.value, state) for state in states if (_pattern(trials, state) or math.inf) <= limit
    )
    if plain is None:
        advice = f"look at its samples before you trust its {winner.metric}"
    else:
        advice = (
            f"compare its samples with those of {trial_name(plain.number)}, the best without such patterns "
            f"({winner.metric} {plain.value:.4g} against {winner.value:.4g})"
        )
    return f"{trial_name(winner.number)} draws patterns ({CHECKERBOARD} {of_winner:.2g}, {beside}): {advice}"


def _pattern(trials: Mapping[int, Trial], state: StateConfirmed | None) -> float | None:
    """How patterned its samples were at the tick that saved it; None where that is not known."""
    tick = None if state is None else trials[state.number].tick_of(state.path)
    value = None if tick is None else tick.metrics.get(CHECKERBOARD)
    return value if value is not None and math.isfinite(value) else None
