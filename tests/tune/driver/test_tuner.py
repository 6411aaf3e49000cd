"""What a sweep tells Tune, without Ray."""

import os
from pathlib import Path
from typing import Any

import pytest
from ray.tune.execution.tune_controller import _get_max_pending_trials
from ray.tune.search import Searcher

from tests.tune.sweeps import rates, tiny_gan
from tune.config import SweepConfig
from tune.driver.plan import SweepPlan
from tune.driver.tuner import started_at_once
from tune.records.sweep_folder import SweepFolder
from tune.worker_groups.capacity import Capacity

NAME = "TUNE_MAX_PENDING_TRIALS_PG"


def plan(tmp_path: Path, scheduler: Any) -> SweepPlan:
    return SweepPlan(
        config=SweepConfig(gan=tiny_gan(), trials=7, scheduler=scheduler, storage=str(tmp_path)),
        space=rates(),
        folder=SweepFolder(str(tmp_path), "sweep"),
        cluster_capacity=Capacity(groups=3, num_workers=1, min_workers=1, cpus=1, gpus=0),
    )


@pytest.mark.parametrize(("scheduler", "at_once"), [("asha", 3), ("pbt", 7)])
def test_the_first_trials_of_all_worker_groups_start_at_once(
    scheduler: Any, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(NAME, raising=False)
    with started_at_once(plan(tmp_path, scheduler)):
        assert _get_max_pending_trials(Searcher()) == at_once
    assert NAME not in os.environ, "the next sweep of this process may have other groups"


def test_a_number_that_the_user_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "2")
    with started_at_once(plan(tmp_path, "asha")):
        assert _get_max_pending_trials(Searcher()) == 2
    assert os.environ[NAME] == "2"
