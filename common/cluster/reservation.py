"""RAY: frees the placement group of a Ray Train run where Ray Train 2.60 does not.

- The controller has died. Ray frees the group when the driver ends; until then Ray Train has a process for
  each run that asks the dashboard every second whether the controller lives. Here the driver, which learns of
  that death anyway, frees it.
- A worker has died while its group started. Ray Train tries again with another placement group and forgets
  the first. If a node is gone too, Ray tries to place that one without a pause, on all of a processor.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_put
from ray.train.v2._internal.execution.callback import WorkerGroupCallback
from ray.util.placement_group import PlacementGroup, PlacementGroupID, remove_placement_group

_NAMESPACE = "artsweep-placement-groups"


class ReservationNote(WorkerGroupCallback):  # type: ignore[misc]  # ray is untyped here
    """Notes a run's placement group in Ray's key-value store; called in the controller, before others."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def before_worker_group_start(self, worker_group_context: Any) -> None:
        """Free what an earlier start has left behind."""
        _free(self._run_id)

    def after_worker_group_start(self, worker_group: Any) -> None:
        """Note the group that the new workers are in."""
        handle = worker_group.get_worker_group_state().placement_group_handle
        _internal_kv_put(self._run_id, handle.placement_group.id.binary(), namespace=_NAMESPACE)


@contextlib.contextmanager
def freed_at_end(run_id: str) -> Iterator[None]:
    """Free the placement group of that run after the block, in the driver, however it ends."""
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # Ray itself may be gone, and the group with it
            _free(run_id)


def _free(run_id: str) -> None:
    noted = _internal_kv_get(run_id, namespace=_NAMESPACE)
    if noted is not None:
        remove_placement_group(PlacementGroup(PlacementGroupID(noted)))  # again, mostly, which does nothing
        _internal_kv_del(run_id, namespace=_NAMESPACE)
