"""A worker's loop that says that it works, and never ends; what kills a worker while its group starts."""

import time
from pathlib import Path
from typing import Any

import ray
from ray.train.v2._internal.execution.callback import WorkerGroupCallback


def work(settings: dict[str, Any]) -> None:
    Path(settings["folder"], "works").touch()
    while True:
        time.sleep(0.1)


class DeathAtStart(WorkerGroupCallback):  # type: ignore[misc]  # ray is untyped here
    """Kills the first worker of the first start."""

    def __init__(self) -> None:
        self._is_done = False

    def after_worker_group_start(self, worker_group: Any) -> None:
        if not self._is_done:
            self._is_done = True
            ray.kill(worker_group.get_workers()[0].actor)
            # on a busy machine it answers for a while, and its death must not come after the start
            while True:
                worker_group.execute_single(0, time.sleep, 0.1)
