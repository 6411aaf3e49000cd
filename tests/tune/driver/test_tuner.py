"""What a sweep tells Tune, without Ray."""

from pathlib import Path
from typing import Any

import pytest
import ray.tune
from ray.tune.execution.tune_controller import _get_max_pending_trials
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import NoopStopper

from tests.tune.sweeps import rates, tiny_gan
from tune.config import SweepConfig
from tune.driver import tuner
from tune.driver.plan import SweepPlan
from tune.records.sweep_folder import SweepFolder
from tune.worker_groups.capacity import Capacity


@pytest.mark.parametrize(("scheduler", "at_once"), [("asha", 3), ("pbt", 7)])
def test_the_first_trials_of_all_worker_groups_start_at_once(
    scheduler: Any, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray.tune, "with_parameters", lambda trainable, **_: trainable)
    monkeypatch.setattr(ray.tune, "with_resources", lambda trainable, _: trainable)
    monkeypatch.setattr(tuner, "Tuner", lambda *_, **__: None)
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", "auto")
    folder = SweepFolder(str(tmp_path), "sweep")
    monkeypatch.setattr(SweepFolder, "session", lambda _: "")
    plan = SweepPlan(
        config=SweepConfig(gan=tiny_gan(), trials=7, scheduler=scheduler, storage=str(tmp_path)),
        space=rates(),
        folder=folder,
        cluster_capacity=Capacity(groups=3, num_workers=1, min_workers=1, cpus=1, gpus=0),
    )
    searcher: Any = Searcher()
    tuner.build_tuner(plan, None, searcher, FIFOScheduler(), NoopStopper(), ray.tune.Callback())
    assert _get_max_pending_trials(searcher) == at_once
