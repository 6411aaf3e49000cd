"""What the terminal says of a winner whose samples are patterned."""

import math

import pytest

from tune.display.endings import winner_cautions
from tune.display.patterned import patterned_winner
from tune.records.events import CheckpointSaved, StateConfirmed, SweepEvent, Tick
from tune.records.trial_records import Trial, collect

METRIC = "fd_lite0_5k"
State = tuple[int, float, float | None]
"""Number of the trial, its value measured again, and its checkerboard."""


def events(number: int, value: float, pattern: float | None, metric: str = METRIC) -> list[SweepEvent]:
    path = f"c{number}"
    metrics = {"fd_lite0_1k": value} | ({} if pattern is None else {"checkerboard": pattern})
    before = {"fd_lite0_1k": value + 1, "checkerboard": 20.0}  # as the first ticks of a generator are
    return [
        Tick(number=number, trial_id=f"t{number}", images_seen=4_000, metrics=before),
        Tick(number=number, trial_id=f"t{number}", images_seen=8_000, metrics=metrics),
        CheckpointSaved(number=number, images_seen=8_000, path=path, value=value),
        Tick(number=number, trial_id=f"t{number}", images_seen=12_000, metrics=before),
        StateConfirmed(number=number, path=path, metric=metric, value=value, noise=1.0),
    ]


def trials(*states: State) -> dict[int, Trial]:
    return collect(event for state in states for event in events(*state))


BASE: State = (0, 200, 1.0)


@pytest.mark.parametrize(
    "states",
    [
        pytest.param([BASE, (3, 100, 0.8)], id="no patterns"),
        pytest.param([BASE, (3, 100, 2.0)], id="twice as real images"),
        pytest.param([(0, 200, 1.8), (3, 100, 3.0)], id="young, and the base settings' are patterned, too"),
        pytest.param([(0, 100, 7.0), (3, 200, 1.0)], id="the base settings win"),
        pytest.param([BASE, (3, 100, 0.8), (4, 150, 9.0)], id="another trial's"),
        pytest.param([BASE, (3, 100, None)], id="not measured"),
        pytest.param([BASE, (3, 100, math.nan)], id="not finite"),
        pytest.param([], id="nothing was measured again"),
    ],
)
def test_nothing_is_said_where_all_is_well_or_unknown(states: list[State]) -> None:
    assert patterned_winner(trials(*states)) is None


def test_a_winner_with_patterns_is_named_with_the_best_trial_without() -> None:
    known = trials(BASE, (3, 100, 3.1), (4, 120, 2.9), (5, 140, 0.9), (6, 150, 0.7))
    line = (
        "trial 3 draws patterns (checkerboard 3.1, trial 0 (base settings) 1, real images 1): compare its "
        "samples with those of trial 5, the best without such patterns (fd_lite0_5k 140 against 100)"
    )
    assert patterned_winner(known) == line
    assert winner_cautions(known) == [line], "at a sweep's end and in its report"


def test_images_are_compared_with_real_ones_where_the_base_settings_are_not_known() -> None:
    alone = "trial 3 draws patterns (checkerboard 3.1, real images 1): "
    assert patterned_winner(trials((3, 100, 3.1), (4, 120, None))) == (
        f"{alone}look at its samples before you trust its fd_lite0_5k"
    )
    line = patterned_winner(trials((0, 200, None), (3, 100, 3.1), (4, 120, 1.1)))
    assert line is not None and line.startswith(f"{alone}compare its samples with those of trial 4")


def test_values_of_another_protocol_are_not_compared() -> None:
    old = collect(events(0, 90, 1.0, metric="fd_lite0_1k"))  # not the best: it was measured otherwise
    known = trials((3, 80, 3.1)) | old
    line = patterned_winner(known)
    assert line is not None and "trial 0" not in line


def test_of_a_state_that_was_saved_again_the_last_attempts_tick_counts() -> None:
    known = trials(BASE, (3, 100, 3.1))
    again = Tick(
        number=3, trial_id="t3b", images_seen=8_000, metrics={"fd_lite0_1k": 100.0, "checkerboard": 1.1}
    )
    assert patterned_winner(collect([*events(*BASE), *events(3, 100, 3.1), again])) is None
    assert patterned_winner(known) is not None
