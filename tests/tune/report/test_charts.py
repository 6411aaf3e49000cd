"""The numbers that charts say, against sums by hand."""

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from tests.tune.made_up import METRIC, empty, made_up
from tests.tune.report.test_cases import RATE, trial
from tune.records.events import Tick
from tune.report.charts import in_order
from tune.report.charts.cost import repeated_s
from tune.report.charts.importance import importances
from tune.report.charts.progress import steps
from tune.report.charts.timeline import stretches
from tune.report.data import SweepData, read_sweep
from tune.report.pictures import within
from tune.report.winner import cautions, verdict_on, winner_of
from tune.space.domains import Float
from tune.space.space import Space


def test_every_chart_has_a_place_of_its_own_and_asks_something() -> None:
    charts = in_order()
    places = [chart.place for chart in charts.values()]
    assert len(set(places)) == len(charts) >= 9 and places == sorted(places)
    assert all(chart.question.endswith("?") and chart.title for chart in charts.values())


def planted(tmp_path: Path, *, count: int = 60) -> SweepData:
    """A sweep whose objective depends on the generator's rate alone."""
    space = Space({RATE: Float(1e-5, 1e-2, log=True), "optimizer.beta1": Float(0, 0.9)})
    made, draw = empty(tmp_path, space=space, trials=count), np.random.default_rng(0)
    for number in range(count):
        rate, beta = float(10 ** draw.uniform(-5, -2)), float(draw.uniform(0, 0.9))
        trial(made, number, 1 + abs(math.log10(rate) + 3.5))
        for place, event in enumerate(made.events):
            if getattr(event, "number", None) == number and hasattr(event, "values"):
                made.events[place] = dataclasses.replace(event, values={RATE: rate, "optimizer.beta1": beta})  # type: ignore[call-arg]
    return read_sweep(made.write())


def test_a_setting_that_decides_alone_is_named_beyond_chance_and_the_other_is_not(tmp_path: Path) -> None:
    found = importances(planted(tmp_path))
    assert list(found) == [RATE, "optimizer.beta1"]
    (share, by_chance), (other, others_chance) = found.values()
    assert share > 0.7 > by_chance and other < others_chance
    assert share + other == pytest.approx(1)
    answer = in_order()["importance"].draw(planted(tmp_path / "again"))
    assert f"The generator lr explains {share:.0%}".replace("%", "\u00a0%") in answer.text
    assert "The other stays within chance" in answer.text


def test_improvements_are_counted_over_the_whole_sweep(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=2)
    trial(made, 0, 5.0, 4.0)
    trial(made, 1, 4.5, 3.0, 3.5)
    found, end = steps(read_sweep(made.write()))
    assert [(step.value, step.number, step.images, step.trials) for step in found] == [
        (5.0, 0, 8000, 1),
        (4.0, 0, 16000, 1),
        (3.0, 1, 32000, 2),
    ]
    assert end is not None and (end.images, end.worker_s) == (40000, pytest.approx(5 * 9.5))


def test_ticks_of_a_trial_on_one_group_are_one_stretch_until_a_gap(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=1)
    trial(made, 0, 3.0, 2.0, 1.0)
    ticks = [event for event in made.events if isinstance(event, Tick)]
    for tick, group, later in zip(ticks, (0, 0, 1), (0, 0, 100), strict=True):
        place = made.events.index(tick)
        made.events[place] = dataclasses.replace(tick, worker_group=group, node="n", time=tick.time + later)
    found, knows = stretches(read_sweep(made.write()))
    assert knows and [(each.lane, each.ticks) for each in found] == [("group 0 on n", 2), ("group 1 on n", 1)]
    assert found[0].end - found[0].begin == pytest.approx(19.5) and found[1].begin - found[0].end > 90


def test_without_groups_in_the_log_stretches_are_packed_into_free_lanes(tmp_path: Path) -> None:
    made = made_up(tmp_path, trials=6, groups=3)
    made.events = [
        dataclasses.replace(event, worker_group=None, node=None) if isinstance(event, Tick) else event
        for event in made.events
    ]
    found, knows = stretches(read_sweep(made.write()))
    assert not knows and {each.lane for each in found} == {"lane 0", "lane 1", "lane 2"}
    for lane in {each.lane for each in found}:
        ends = [(each.begin, each.end) for each in found if each.lane == lane]
        assert all(end <= begin + 1 for (_, end), (begin, _) in itertools.pairwise(ends))


def test_repeated_ticks_cost_and_do_not_count_twice(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=1)
    trial(made, 0, 3.0, 2.0, state=None)
    metrics = {METRIC: 2.5, "train_s": 9.0, "evaluate_s": 0.5}
    again = Tick(number=0, trial_id="t0", images_seen=16000, metrics=metrics, time=made.events[-1].time + 10)
    made.events.append(again)
    sweep = read_sweep(made.write())
    (row,) = sweep.rows
    assert row.worker_s == pytest.approx(3 * 9.5) and repeated_s(sweep, row) == pytest.approx(9.5)


def test_a_gain_is_clear_only_beyond_the_noise_floor(tmp_path: Path) -> None:
    said = []
    for name, value in (("clear", 0.5), ("unclear", 0.995), ("none", 1.2)):
        made = empty(tmp_path, name, trials=2)
        trial(made, 0, 1.0)
        trial(made, 1, value)
        winner = winner_of(read_sweep(made.write()))
        assert winner is not None
        said.append(verdict_on(winner)[0])
    assert said == ["clear gain", "no clear gain", "no gain"]


def test_a_gain_far_above_the_noise_floor_is_told_to_be_far_from_real_images(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=2)
    trial(made, 0, 1.0)
    trial(made, 1, 0.5)
    sweep = read_sweep(made.write())
    winner = winner_of(sweep)
    assert winner is not None and winner.compared.noise is not None
    said = {}
    for share in (0.6, 0.04):  # of the value, that the noise floor is
        compared = dataclasses.replace(winner.compared, noise=share * winner.compared.value)
        said[share] = cautions(sweep, dataclasses.replace(winner, compared=compared))
    assert len(said[0.04]) == len(said[0.6]) + 1
    assert said[0.04][0].startswith("Its distance is 25 times the noise floor, at which real images stand")


def test_pictures_are_thinned_evenly_and_the_last_ones_stay() -> None:
    grids = {number: {8000 * tick: bytes(1000) for tick in range(1, 11)} for number in (3, 1)}
    assert within(grids, 20_000) == grids
    half = within(grids, 10_000)
    assert {number: list(of) for number, of in half.items()} == {
        number: [16000, 32000, 48000, 64000, 80000] for number in (3, 1)
    }
    assert {number: list(of) for number, of in within(grids, 1_500).items()} == {3: [80000]}
