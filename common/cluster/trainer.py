"""RAY: a Ray Train run of PyTorch that starts no more processes, and loads no more in them, than it needs.

`TorchTrainer` of Ray 2.60 loads PyTorch in its controller too, for its settings alone. It starts a process
that would divide a data set of Ray Data, also where there is none; one that watches the controller; and one
that asks for more machines, also where Ray has only this one. Each takes seconds of CPU from a run's start.
"""

import contextlib
import datetime
import os
import socket
from collections.abc import Callable
from typing import Any

import ray
import ray._private.worker
import ray.exceptions
import ray.train
from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2.api.config import ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from common.cluster.reservation import ReservationNote, freed_at_end

COLLECTIVE_TIMEOUT = datetime.timedelta(minutes=30)
"""How long a rank waits for the others, as `TorchConfig` has it."""
SHUTDOWN_TIMEOUT_S = 30.0


class TorchWorkers(BackendConfig):  # type: ignore[misc]  # ray is untyped here
    """A process group of PyTorch over a run's workers: NCCL where they have GPUs, else Gloo."""

    def __init__(self, *, use_gpu: bool) -> None:
        self.backend = "nccl" if use_gpu else "gloo"

    @property
    def backend_cls(self) -> type[Backend]:
        """What sets the process group up; Ray Train calls it in the controller."""
        return _TorchBackend

    @property
    def train_func_context(self) -> Callable[[], contextlib.AbstractContextManager[None]]:
        """What a worker's loop runs in."""
        return _on_own_gpu


class _TorchBackend(Backend):  # type: ignore[misc]  # ray is untyped here
    """As `_TorchBackend` of Ray Train, except that only the workers load PyTorch."""

    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: TorchWorkers) -> None:
        address, port = worker_group.execute_single(0, _free_address)
        size = len(worker_group)
        ray.get(
            [
                worker_group.execute_single_async(
                    rank, _join, backend_config.backend, rank, size, address, port
                )
                for rank in range(size)
            ]
        )

    def on_shutdown(self, worker_group: Any, backend_config: TorchWorkers) -> None:
        futures = worker_group.execute_async(_leave, is_alone=len(worker_group) == 1)
        with contextlib.suppress(ray.exceptions.GetTimeoutError):  # one that hangs ends with its process
            ray.get(futures, timeout=SHUTDOWN_TIMEOUT_S)


def _free_address() -> tuple[str, int]:
    """An address of this node, and a port that is free."""
    host: str = ray.util.get_node_ip_address()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind(("", 0))
        return host, probe.getsockname()[1]


def _join(backend: str, rank: int, size: int, address: str, port: int) -> None:
    """Join the process group, in a worker."""
    import torch.distributed

    context = ray.train.get_context()
    os.environ |= {
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
        "RANK": str(context.get_world_rank()),
        "WORLD_SIZE": str(context.get_world_size()),
        "LOCAL_RANK": str(context.get_local_rank()),
        "LOCAL_WORLD_SIZE": str(context.get_local_world_size()),
        "NODE_RANK": str(context.get_node_rank()),
    }
    if backend == "nccl" and "TORCH_NCCL_BLOCKING_WAIT" not in os.environ:
        # a rank whose peer has died ends after the time-out instead of waiting for ever
        os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1")
    torch.distributed.init_process_group(
        backend, init_method="env://", rank=rank, world_size=size, timeout=COLLECTIVE_TIMEOUT
    )


def _leave(*, is_alone: bool) -> None:
    """Leave the process group, in a worker."""
    import torch.distributed

    if torch.distributed.is_initialized() and not is_alone:
        torch.distributed.destroy_process_group()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def _on_own_gpu() -> Any:
    """The worker's GPU is PyTorch's current one, in the thread of its loop."""
    import torch
    from ray.train.torch import get_device

    if torch.cuda.is_available() and get_device().type == "cuda":
        torch.cuda.set_device(get_device())
    yield


def _started_ray() -> bool:
    """Whether this process has started Ray here, instead of joining a cluster, which may grow."""
    node = ray._private.worker._global_node
    return node is not None and bool(node.is_head())


class OneMachineScaling(FixedScalingPolicy):  # type: ignore[misc]  # ray is untyped here
    """A fixed number of workers, for which no autoscaler is asked."""

    def after_controller_start(self, train_run_context: Any) -> None:
        """Nobody to register with."""

    def _maybe_send_resource_request(self) -> None:
        pass


class WorkersTrainer(DataParallelTrainer):  # type: ignore[misc]  # ray is untyped here
    """As `TorchTrainer`, with the same process group.

    Args:
        loop: what each worker runs, with `settings`; the controller passes it on unread.
        settings, run_config: the controller reads them, callbacks too: the modules of what they hold should
            load no PyTorch.
    """

    def __init__(
        self,
        loop: Callable[[dict[str, Any]], None],
        *,
        settings: dict[str, Any],
        scaling_config: ScalingConfig,
        run_config: Any,
    ) -> None:
        super().__init__(
            loop,
            train_loop_config=settings,
            backend_config=TorchWorkers(use_gpu=scaling_config.use_gpu),
            scaling_config=scaling_config,
            run_config=run_config,
        )

    def _create_default_callbacks(self) -> list[Any]:
        made: list[Any] = super()._create_default_callbacks()
        needless = (DatasetsCallback, PlacementGroupCleanerCallback)
        return [
            ReservationNote(self.train_run_context.run_id),
            *(callback for callback in made if not isinstance(callback, needless)),
        ]

    def _initialize_and_run_controller(self, **settings: Any) -> Any:
        if type(settings["scaling_policy"]) is FixedScalingPolicy and _started_ray():
            settings["scaling_policy"] = OneMachineScaling(self.scaling_config)
        with freed_at_end(self.train_run_context.run_id):
            return super()._initialize_and_run_controller(**settings)
