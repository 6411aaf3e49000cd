"""What is measured again at the end of a sweep."""

import dataclasses
import types
from typing import Any

import pytest

from gan.config import EvaluationConfig, GanConfig
from tune.driver import confirmation
from tune.driver.confirmation import CANDIDATES, _candidates, _event, _is_measured, confirm_best, divided
from tune.records.events import StateConfirmed
from tune.records.trial_records import Checkpoint, Trial
from tune.worker_groups.messages import WorkerGroupStatus


def test_a_search_sees_half_of_the_held_out_images_if_there_are_many() -> None:
    base = GanConfig()
    assert divided(base, 399) == base
    halved = divided(base, 2000)
    assert halved.evaluation.held_out_part == "search"
    assert divided(halved, 2000) == halved, "as in a sweep that continues another one's settings"
    again = halved.evaluation.for_confirmation()
    assert (again.held_out_part, again.key()) == ("confirmation", "fd_lite0_5k")
    assert base.evaluation.for_confirmation().held_out_part == "all"


def test_the_best_states_and_the_baselines_are_measured_again_once() -> None:
    trials = {
        number: Trial(
            number=number,
            checkpoints=[Checkpoint(path=f"c{number}", images_seen=64, value=10.0 - number)],
        )
        for number in range(9)
    }
    numbers = [trial.number for trial, _ in _candidates(trials)]
    assert numbers == [8, 7, 6, 5, 4, 0] and len(numbers) == CANDIDATES + 1
    for number in (8, 0):
        again = StateConfirmed(number=number, path=f"c{number}", metric="swd", value=1.0, noise=0.1)
        trials[number].confirmed[again.path] = again
    assert [trial.number for trial, _ in _candidates(trials)] == [7, 6, 5, 4]


def test_states_that_an_earlier_version_measured_by_one_network_are_measured_once_more() -> None:
    trials = {
        number: Trial(number=number, checkpoints=[Checkpoint(path=f"c{number}", images_seen=64, value=1.0)])
        for number in range(3)
    }
    old = StateConfirmed(number=1, path="c1", metric="swd", value=1.0, noise=0.1)
    both = _event(2, "c2", [("swd", 1.0, 0.1), ("fd_lite0_60", 0.8, 0.02)])
    for again in (old, both):
        trials[again.number].confirmed[again.path] = again
    swd = GanConfig(evaluation=EvaluationConfig(metric="swd"))
    found = _candidates(trials, lambda again: _is_measured(again, swd))
    assert [trial.number for trial, _ in found] == [0, 1]


def test_what_both_networks_measured_of_a_state_is_one_event() -> None:
    first = {"number": 2, "path": "c", "metric": "swd", "value": 1.0, "noise": 0.1}
    second = {"second": 0.8, "second_metric": "fd_lite0_60", "second_noise": 0.02}
    both = dataclasses.asdict(_event(2, "c", [("swd", 1.0, 0.1), ("fd_lite0_60", 0.8, 0.02)]))
    assert first | second == {name: value for name, value in both.items() if name != "time"}
    alone = _event(2, "c", [("swd", 1.0, 0.1)])
    assert (alone.second, alone.second_metric, alone.second_noise) == (None, None, None)


def test_long_ticks_are_not_waited_for_when_a_time_budget_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmation, "IDLE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(confirmation.ray, "get", lambda answer: answer)
    busy = [WorkerGroupStatus("worker-group-0", "busy", 0)]
    pool = types.SimpleNamespace(status=types.SimpleNamespace(remote=lambda: busy))
    said: list[str] = []
    unused: Any = None
    groups: Any = types.SimpleNamespace(pool=pool)
    view: Any = types.SimpleNamespace(say=said.append)
    trials = {0: Trial(number=0, checkpoints=[Checkpoint(path="c", images_seen=64, value=1.0)])}
    confirm_best(unused, groups, unused, trials, view, lambda: None, [].append)
    assert said == ["the best states were not measured again: all workers are in the middle of a tick"]
    confirm_best(unused, groups, unused, {0: Trial(number=0)}, view, lambda: None, [].append)
    assert len(said) == 1, "there was nothing to measure"
