"""Comparisons on an equal budget, against sums and simulations."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from common.errors import ConfigError
from tests.tune.made_up import empty, made_up
from tests.tune.report.test_cases import trial
from tune.report.comparison import RESAMPLES, compare, comparison_page, expected_best
from tune.report.data import SweepData, read_sweep


def sweep_of(storage: Path, name: str, *courses: list[float]) -> SweepData:
    """A sweep whose trials, one after the other, have these values, a tick of 8,000 images each."""
    made = empty(storage, name, trials=len(courses))
    for number, course in enumerate(courses):
        trial(made, number, *course)
    return read_sweep(made.write())


@pytest.mark.parametrize("draws", [1, 2, 5])
def test_the_expected_best_is_the_mean_over_all_draws(draws: int) -> None:
    values = np.array([3.0, 1.0, 4.0, 1.5])
    every = [min(drawn) for drawn in itertools.product(values, repeat=draws)]
    assert expected_best(values, draws) == pytest.approx(np.mean(every))


def test_sweeps_are_cut_to_the_images_of_the_smaller_one(tmp_path: Path) -> None:
    small = sweep_of(tmp_path, "small", [5.0, 4.0], [3.5, 3.0])
    large = sweep_of(tmp_path, "large", [6.0, 5.5], [4.5, 2.9, 0.5], [0.1])
    found = compare([small, large], "images")
    assert found.amount == 4 * 8000 and found.draws == 2
    assert [(each.trials, each.best) for each in found.sweeps] == [(2, 3.0), (2, 2.9)]
    assert [each.best_of_all for each in found.sweeps] == [3.0, 0.1]
    assert found.sweeps[0].expected == pytest.approx(0.75 * 3.0 + 0.25 * 4.0)
    by_trials = compare([small, large], "trials")
    assert by_trials.amount == 2 and by_trials.sweeps[1].best == 0.5
    by_cost = compare([small, large], "cost")
    assert by_cost.amount == pytest.approx(4 * 9.5) and by_cost.sweeps[1].best == 2.9


def test_intervals_are_those_of_a_plain_bootstrap(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    courses = [[float(value)] for value in draw.lognormal(size=25)]
    sweep = sweep_of(tmp_path, "one", *courses)
    found = compare([sweep, sweep], "trials").sweeps[0]
    values = np.array(courses)[:, 0]
    again = [expected_best(draw.choice(values, 25), 25) for _ in range(RESAMPLES)]
    low, high = np.quantile(again, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low, rel=0.15), pytest.approx(high, rel=0.15))
    assert found.low is not None and found.expected is not None and found.high is not None
    assert found.low <= found.expected <= found.high


def test_a_sweep_with_clearly_better_trials_is_ahead_and_like_ones_share(tmp_path: Path) -> None:
    good = sweep_of(tmp_path, "good", *[[1.0 + place / 100] for place in range(10)])
    bad = sweep_of(tmp_path, "bad", *[[2.0 + place / 100] for place in range(10)])
    assert [each.ahead for each in compare([bad, good]).sweeps] == [0.0, 1.0]
    shares = [each.ahead for each in compare([good, good, bad]).sweeps]
    assert sum(share or 0.0 for share in shares) == pytest.approx(1) and shares[0] == pytest.approx(
        0.5, abs=0.1
    )


def test_trials_without_a_value_count_as_the_worst(tmp_path: Path) -> None:
    some = sweep_of(tmp_path, "some", [1.0], [float("nan")])
    other = sweep_of(tmp_path, "other", [2.0], [3.0])
    assert compare([some, other]).sweeps[0].expected == pytest.approx(0.75 * 1.0 + 0.25 * 3.0)


def test_sweeps_that_cannot_be_compared_say_why(tmp_path: Path) -> None:
    one = sweep_of(tmp_path, "one", [1.0])
    swd = empty(
        tmp_path, "swd", gan=made_up(tmp_path, "base").config.gan.with_values({"evaluation.metric": "swd"})
    )
    with pytest.raises(ConfigError, match="these minimize fd_lite0_1k, swd"):
        compare([one, read_sweep(swd.write())])
    with pytest.raises(ConfigError, match="has no trial with a value yet"):
        compare([one, read_sweep(empty(tmp_path, "none").write())])


@pytest.mark.parametrize(
    "values",
    [{"fit": "pad"}, {"fit": "pad", "pad_colour": "white"}, {"crops": 4}, {"flip": True}, {"resolution": 64}],
)
def test_sweeps_on_other_squares_of_the_same_pictures_do_not_compare(
    values: dict[str, object], tmp_path: Path
) -> None:
    sweep = sweep_of(tmp_path, "one", [5.0, 4.0], [3.5, 3.0])

    def with_data(name: str, more: dict[str, object]) -> SweepData:
        config = sweep.config
        data = {f"data.{key}": value for key, value in ({"source": "photos"} | more).items()}
        changed = dataclasses.replace(config, gan=config.gan.with_values(data))
        return dataclasses.replace(sweep, name=name, config=changed)

    plain = with_data("plain", {})
    assert comparison_page([plain, with_data("same", {})])["warning"] == ""
    assert "do not compare" in comparison_page([plain, with_data("other", values)])["warning"]
