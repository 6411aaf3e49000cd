"""RAY: the placement group of a Ray Train run is freed when the run's controller has died.

Ray frees it when the driver ends. Until then Ray Train 2.60 has a process for each run that asks the
dashboard every second whether the controller lives. Here the driver, which learns of that death anyway,
frees it.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import ray.exceptions
from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_put
from ray.train.v2._internal.execution.callback import WorkerGroupCallback
from ray.util.placement_group import PlacementGroup, PlacementGroupID, remove_placement_group

_NAMESPACE = "artsweep-placement-groups"


class ReservationNote(WorkerGroupCallback):  # type: ignore[misc]  # ray is untyped here
    """Notes a run's placement group in Ray's key-value store; called in the controller."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def after_worker_group_start(self, worker_group: Any) -> None:
        """Note the group that the new workers are in; a restart makes another."""
        handle = worker_group.get_worker_group_state().placement_group_handle
        _internal_kv_put(self._run_id, handle.placement_group.id.binary(), namespace=_NAMESPACE)


@contextlib.contextmanager
def freed_with_controller(run_id: str) -> Iterator[None]:
    """Free the placement group of that run if its controller dies within the block, in the driver."""
    try:
        yield
    except ray.exceptions.RayError:  # the run's own errors are of other types
        with contextlib.suppress(Exception):  # Ray itself may be gone, and the group with it
            noted = _internal_kv_get(run_id, namespace=_NAMESPACE)
            if noted is not None:
                remove_placement_group(PlacementGroup(PlacementGroupID(noted)))
        raise
    finally:
        with contextlib.suppress(Exception):
            _internal_kv_del(run_id, namespace=_NAMESPACE)
