"""What the terminal says where a second network does not see a sweep's winner as the first does."""

import pytest

from tune.display.second_opinion import second_opinion
from tune.records.events import StateConfirmed
from tune.records.trial_records import Trial

FIRST, SECOND = "fd_compact_5k", "fd_lite0_5k"
State = tuple[int, float, float | None]
"""Number of the trial and both its values."""


def said(*states: State, noise: float = 5.0, second_noise: float = 0.05) -> str | None:
    trials: dict[int, Trial] = {}
    for place, (number, value, second) in enumerate(states):
        state = StateConfirmed(
            number=number,
            path=f"c{place}",
            metric=FIRST,
            value=value,
            noise=noise,
            second=second,
            second_metric=None if second is None else SECOND,
            second_noise=None if second is None else second_noise,
        )
        trials.setdefault(number, Trial(number=number)).confirmed[state.path] = state
    return second_opinion(trials)


BASE: State = (0, 500, 2.0)
DISAGREEMENT = (
    "trial 3 is best by fd_compact_5k, but trial 7 by fd_lite0_5k 1.2 against 1.5 (noise floor 0.05): "
    "compare the samples of both"
)


@pytest.mark.parametrize(
    "states",
    [
        pytest.param([BASE, (3, 400, 1.5), (7, 450, 1.8)], id="both agree, and the winner beats the base"),
        pytest.param([BASE, (3, 400, 1.5), (7, 450, 1.46)], id="the other is not better by more than noise"),
        pytest.param([BASE, (3, 400, 1.5), (3, 420, 1.2)], id="another state of the same trial"),
        pytest.param([(3, 400, 1.5), (7, 450, 1.8)], id="the base was not measured"),
        pytest.param([(0, 500, None), (3, 400, 1.5)], id="the base was not measured by the second"),
        pytest.param([BASE, (3, 400, None), (7, 450, 1.2)], id="the winner was not measured by the second"),
        pytest.param([(0, 500, None), (3, 400, None)], id="a sweep of an earlier version"),
        pytest.param([BASE], id="the base alone"),
        pytest.param([], id="nothing was measured again"),
    ],
)
def test_nothing_is_said_where_all_is_well_or_unknown(states: list[State]) -> None:
    assert said(*states) is None


def test_where_the_networks_disagree_the_other_trial_is_named() -> None:
    assert said(BASE, (3, 400, 1.5), (7, 450, 1.2), (8, 460, 1.4)) == DISAGREEMENT
    assert said((3, 400, 1.5), (7, 450, 1.2)) == DISAGREEMENT, "without a base"
    assert said((0, 500, None), (3, 400, 1.5), (5, 430, None), (7, 450, 1.2)) == DISAGREEMENT


def test_a_winner_that_does_not_clearly_beat_the_base_settings_is_named_with_the_metric() -> None:
    start = "trial 3 does not clearly beat trial 0 (base settings): "
    by_first = "fd_compact_5k 496 against 500 (noise floor 5)"
    by_second = "fd_lite0_5k 1.97 against 2 (noise floor 0.05)"
    assert said(BASE, (3, 496, 1.5)) == start + by_first
    assert said(BASE, (3, 400, 1.97)) == start + by_second
    assert said(BASE, (3, 496, 1.97)) == f"{start}{by_first} and {by_second}"
    assert said((0, 500, None), (3, 496, 1.5)) == start + by_first
    assert said(BASE, (3, 495, 1.5)) == start + by_first.replace("496", "495"), "just the noise"


def test_a_disagreement_and_the_base_settings_are_one_line() -> None:
    line = said(BASE, (3, 496, 2.1), (7, 497, 1.2))
    assert line == (
        "trial 3 is best by fd_compact_5k, but trial 7 by fd_lite0_5k 1.2 against 2.1 (noise floor 0.05): "
        "compare the samples of both; trial 3 does not clearly beat trial 0 (base settings): "
        "fd_compact_5k 496 against 500 (noise floor 5) and fd_lite0_5k 2.1 against 2 (noise floor 0.05)"
    )


def test_where_the_second_network_prefers_the_base_settings_that_is_said_once() -> None:
    line = said(BASE, (3, 400, 2.2))
    assert line == (
        "trial 3 is best by fd_compact_5k, but trial 0 (base settings) by fd_lite0_5k 2 against 2.2 "
        "(noise floor 0.05): compare the samples of both"
    )
    assert said(BASE, (3, 498, 2.2)) == (
        f"{line}; trial 3 does not clearly beat trial 0 (base settings): "
        "fd_compact_5k 498 against 500 (noise floor 5)"
    )


def test_where_the_base_settings_win_that_is_said_or_who_is_better_by_the_second_network() -> None:
    assert said(BASE, (3, 510, 1.98)) == (
        "no trial clearly beats trial 0 (base settings), neither by fd_compact_5k nor by fd_lite0_5k"
    )
    assert said(BASE, (3, 510, 1.2)) == (
        "trial 0 (base settings) is best by fd_compact_5k, but trial 3 by fd_lite0_5k 1.2 against 2 "
        "(noise floor 0.05): compare the samples of both"
    )


def test_an_unbiased_noise_floor_below_0_is_one_all_the_same() -> None:
    states: list[State] = [BASE, (3, 400, 1.5), (7, 450, 1.48)]
    assert said(*states, second_noise=-0.03) is None
    assert said(*states, second_noise=-0.01) is not None


def test_values_of_another_protocol_are_not_compared() -> None:
    old = StateConfirmed(
        number=0, path="c", metric="fd_compact_1k", value=450, noise=9, second=1.0, second_metric="fd_x_1k"
    )
    new = StateConfirmed(
        number=3,
        path="d",
        metric=FIRST,
        value=400,
        noise=5,
        second=1.5,
        second_metric=SECOND,
        second_noise=0.05,
    )
    trials = {state.number: Trial(number=state.number, confirmed={state.path: state}) for state in (old, new)}
    assert second_opinion(trials) is None
