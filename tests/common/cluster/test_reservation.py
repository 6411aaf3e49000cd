"""What a run of Ray Train has reserved is free again when its controller or a new worker has died."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import ray.exceptions
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.util.placement_group import placement_group_table

from common.cluster.session import end_train_runs, kill_actors, own_actors, start_ray
from common.cluster.trainer import WorkersTrainer
from tests.common.cluster import until_killed
from tests.waiting import wait_for

pytestmark = pytest.mark.filterwarnings(r"ignore:`use_\w+` is deprecated:DeprecationWarning")


@pytest.fixture
def on_ray() -> Iterator[None]:
    ray.cloudpickle.register_pickle_by_value(until_killed)
    start_ray(None, num_cpus=2)
    yield
    ray.shutdown()


def start(folder: Path, *callbacks: Any) -> tuple[threading.Thread, list[BaseException]]:
    """A run whose worker takes all CPUs, in a thread; what it raises is appended."""
    trainer = WorkersTrainer(
        until_killed.work,
        settings={"folder": str(folder)},
        scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": 2}),
        run_config=RunConfig(
            name="run",
            storage_path=str(folder),
            logging_config=LoggingConfig(log_level="CRITICAL"),
            failure_config=FailureConfig(controller_failure_limit=2),
            callbacks=list(callbacks),
        ),
    )
    errors: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except ray.exceptions.RayError as error:
            errors.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    return thread, errors


@pytest.mark.usefixtures("on_ray")
def test_a_killed_controller_frees_what_its_run_has_reserved(tmp_path: Path) -> None:
    thread, errors = start(tmp_path)
    wait_for((tmp_path / "works").exists)
    assert ray.available_resources().get("CPU", 0) == 0
    others = [name for name in ("PlacementGroupCleaner", "_AutoscalingCoordinatorActor") if own_actors(name)]
    assert not others, "nobody else watches or asks for machines"

    kill_actors("TrainController")
    wait_for(lambda: ray.available_resources().get("CPU", 0) == 2)
    thread.join(timeout=20)
    assert [type(error) for error in errors] == [ray.exceptions.ActorDiedError]


@pytest.mark.usefixtures("on_ray")
def test_a_worker_that_dies_while_its_group_starts_leaves_nothing_reserved(tmp_path: Path) -> None:
    thread, _ = start(tmp_path, until_killed.DeathAtStart())
    wait_for((tmp_path / "works").exists)
    groups = [group["state"] for group in placement_group_table().values()]
    assert sorted(groups) == ["CREATED", "REMOVED"]
    end_train_runs([thread])
