"""RAY: starts the worker groups of a sweep and the pool's actor, and holds the loop of a worker.

A worker group is one Ray Train run: a `WorkersTrainer.fit()` in a thread of the driver. Its workers do not
return after a trial: they register with the pool and execute its commands, with imports, process group, data
and compiled step warm.
"""

import collections
import contextlib
import dataclasses
import functools
import platform
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import ray
import ray.exceptions
import ray.train
import ray.train.collective
import torch
from ray.train.torch import get_device
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig

from common.cluster.session import beside_driver, end_train_runs, worker_env
from common.cluster.trainer import WorkersTrainer
from common.errors import ConfigError
from common.memory import is_out_of_memory, limit_to_share
from common.text import type_and_last_line
from gan import checkpoint
from gan.config import GanConfig
from gan.distributed import is_loss_of_a_peer
from gan.raytrain.broadcast import ImageBroadcast
from gan.training.run import Diverged
from tune.trial_keys import GROUP_KEY, NODE_KEY
from tune.worker_groups.capacity import Capacity
from tune.worker_groups.death_callback import DeathCallback
from tune.worker_groups.messages import CommandResult, WorkerCommand
from tune.worker_groups.pool import Pool
from tune.worker_groups.session import WorkerSession

# A group that needed more restarts is not unlucky: something on its node is broken. A trial for which several
# ranks have too little memory takes two.
MAX_RESTARTS = 16
# Where Ray Train leaves its marker in the sweep's folder; the same as in earlier sweeps, which may be resumed
MARKER_FOLDER = "gangs/gang-{index}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerGroupConfig:
    """Size and images of each worker group of a sweep, and the sweep's storage and name."""

    capacity: Capacity
    base: GanConfig
    images: ImageBroadcast
    storage_path: str
    name: str
    makes_grids: bool = False
    """Whether workers answer each tick with a small grid of samples."""


def group_name(index: int) -> str:
    """Name of a worker group in messages and in the pool."""
    return f"worker-group-{index}"


class WorkerGroups:
    """The worker groups of a sweep, a thread each; more start when nodes join, and all stop together."""

    def __init__(self, config: WorkerGroupConfig) -> None:
        options = {
            "num_cpus": 0,
            # an async actor runs 1,000 calls at once by default; every worker and every trial keeps one open
            "max_concurrency": 100_000,
            "scheduling_strategy": beside_driver(),
        }
        names = [group_name(index) for index in range(config.capacity.groups)]
        self.pool = ray.remote(Pool).options(**options).remote(names)
        self._end = self.pool.ended.remote()
        self._config = config
        self._is_stopping = False
        self._lost: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        for _ in names:
            self._start_next()

    def _start_next(self) -> None:
        index = len(self._threads)
        thread = threading.Thread(target=self._run, args=(index,), name=group_name(index), daemon=True)
        self._threads.append(thread)
        thread.start()

    def count(self) -> int:
        """Groups that are running or starting: all except those that are lost for good."""
        return len(self._threads) - len(self._lost)

    def grow_to(self, count: int) -> None:
        """Start groups until there are `count`."""
        for _ in range(count - self.count()):
            ray.get(self.pool.add.remote(group_name(len(self._threads))))
            self._start_next()

    def _run(self, index: int) -> None:
        name, reason = group_name(index), "its workers have stopped"
        try:
            build_trainer(self._config, index, self.pool).fit()
        except Exception as error:  # whatever ends a group for good is the reason that its trials fail with
            reason = f"{name} is lost: {type_and_last_line(error)}"
        if not self._is_stopping:
            self._lost[name] = reason  # first: the driver must know it before a trial fails with it
            with contextlib.suppress(ray.exceptions.RayError):  # with Ray itself gone, the driver ends too
                ray.get(self.pool.lose.remote(name, reason))

    def why_all_are_lost(self) -> str | None:
        """The last reason when no group is left or the pool has died, else None."""
        if ray.wait([self._end], timeout=0)[0] and not self._is_stopping:
            return "the process that lends them has died"
        return list(self._lost.values())[-1] if len(self._lost) == len(self._threads) else None

    def wait_until_one_is_ready(self, on_wait: Callable[[Mapping[str, int]], None], timeout_s: float) -> None:
        """Return when some group can take a trial; the others join when they are ready.

        on_wait: called repeatedly with the number of groups in each state, such as `{"starting": 2}`.

        Raises: ConfigError when all are lost or none is ready within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            status = ray.get(self.pool.status.remote())
            states = collections.Counter(group.state for group in status)
            if states["idle"] or states["busy"]:
                return
            if states["lost"] == len(status):
                raise ConfigError(f"no worker could be started: {status[0].reason}")
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"no worker was ready within {timeout_s:.0f} s; `ray status` shows the missing resources"
                )
            on_wait(states)
            time.sleep(0.1)

    def stop(self, timeout_s: float = 20.0, tick_timeout_s: float = 2.0, *, ends_ray: bool = False) -> None:
        """Stop all workers; those that do not stop in time stop at the end of their tick, or with Ray.

        tick_timeout_s: for groups that start, or are in the middle of a tick: it could be long, and is
        repeated after a resume. ends_ray: whether Ray is shut down next; then what is late is killed, since a
        thread that still waits for Ray when it is shut down ends this process at once, without a word.
        """
        self._is_stopping = True
        with contextlib.suppress(ray.exceptions.RayError):  # a dead pool has nobody to stop
            idle = {group.name for group in ray.get(self.pool.status.remote()) if group.state == "idle"}
            ray.get(self.pool.stop.remote())
            began = time.monotonic()
            for thread in self._threads:
                limit_s = timeout_s if thread.name in idle else tick_timeout_s
                thread.join(max(0.0, began + limit_s - time.monotonic()))
        if ends_ray:
            end_train_runs(self._threads)
        # In a caller's Ray, workers in the middle of a tick still ask the pool, which tells them to stop. Ray
        # ends it when nobody has a handle of it any more.
        if not any(thread.is_alive() for thread in self._threads):
            ray.kill(self.pool)


def build_trainer(config: WorkerGroupConfig, index: int, pool: Any) -> WorkersTrainer:
    """The Ray Train run that is one worker group."""
    fewest, all_workers = config.capacity.min_workers, config.capacity.num_workers
    return WorkersTrainer(
        work,
        settings={
            "group": group_name(index),
            "index": index,
            "pool": pool,
            "data": config.base.data,
            "images": config.images,
            "threads": config.capacity.cpus,
            "gpus": config.capacity.gpus,
            "makes_grids": config.makes_grids,
        },
        scaling_config=ScalingConfig(
            # a range: Ray Train restarts a group with what there is, and lets it grow again a minute later
            num_workers=all_workers if fewest == all_workers else (fewest, all_workers),
            use_gpu=config.capacity.gpus > 0,
            resources_per_worker=config.capacity.per_worker(),
        ),
        run_config=RunConfig(
            name=f"{config.name}/{MARKER_FOLDER.format(index=index)}",
            storage_path=config.storage_path,
            # controller_failure_limit: its default of -1 retries start-up time-outs for ever
            failure_config=FailureConfig(max_failures=MAX_RESTARTS, controller_failure_limit=2),
            logging_config=LoggingConfig(log_level="ERROR"),
            callbacks=[DeathCallback(pool, group_name(index))],
            worker_runtime_env={"env_vars": worker_env(config.capacity.cpus)},
        ),
    )


def work(setup: dict[str, Any]) -> None:
    """The loop of one worker: execute commands of the pool and report their results until it says stop."""
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    incarnation = ray.train.collective.broadcast_from_rank_zero(uuid.uuid4().hex if rank == 0 else None)
    torch.set_num_threads(setup["threads"])
    limit_to_share(setup["gpus"], get_device())
    images = setup["images"].load(setup["data"])
    place = {GROUP_KEY: setup["index"], NODE_KEY: platform.node()}
    session = WorkerSession(images, get_device(), rank, world_size, place, makes_grids=setup["makes_grids"])

    report_and_wait = functools.partial(
        setup["pool"].report_and_wait.remote, setup["group"], incarnation, rank, world_size
    )

    result: CommandResult | None = None
    while True:
        command: WorkerCommand = ray.get(report_and_wait(result))
        if command.kind == "stop":
            return
        answer = functools.partial(CommandResult, command.number)
        try:
            result = answer(value=session.execute(command))
        except (ConfigError, Diverged, checkpoint.CheckpointError) as error:
            # raised by all ranks alike: the group is intact
            result = answer(error=str(error), is_divergence=isinstance(error, Diverged))
        except Exception as error:
            is_alone = world_size == 1
            result = answer(
                error=type_and_last_line(error),
                fatal=not is_alone,
                is_peer_lost=is_loss_of_a_peer(error),
                is_memory_short=is_out_of_memory(error),
            )
            if not is_alone:  # the peers may hang in a collective: only a restart frees them
                ray.get(report_and_wait(result))
                raise
            session.clear(error)
