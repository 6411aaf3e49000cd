"""RAY: reports dead workers of a worker group to the pool.

Ray Train's controller imports this module, and should not have to load PyTorch with it.
"""

from typing import Any

import ray
from ray.train.v2.api.callback import UserCallback


class DeathCallback(UserCallback):  # type: ignore[misc]  # ray is untyped here
    """Reports dead workers to the pool at once: if their node is gone, no new workers may ever register."""

    def __init__(self, pool: Any, name: str) -> None:
        self._pool, self._name = pool, name

    def after_exception(self, run_context: Any, worker_exceptions: Any) -> None:
        ray.get(self._pool.on_group_died.remote(self._name))
