"""RAY: warm Ray Train worker groups (gangs), started once a sweep, and the actor that lends them.

A gang is one `TorchTrainer.fit()` in a thread of the driver. Its workers do not train and return: they
register with the pool and do what it says, with imports, process group, data and compiled step warm.
"""

import contextlib
import dataclasses
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import ray
import ray.exceptions
import ray.train
import ray.train.collective
import torch
from ray.train.torch import TorchTrainer, get_device
from ray.train.v2.api.callback import UserCallback
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig

from common.cluster.session import beside_driver, worker_env
from common.errors import ConfigError
from common.text import type_and_last_line
from gan import checkpoint
from gan.config import GanConfig
from gan.distributed import is_loss_of_a_peer
from gan.raytrain.broadcast import ImageBroadcast
from gan.training.run import Diverged
from tune.worker_groups.capacity import Capacity
from tune.worker_groups.messages import Command, GangStatus, Outcome
from tune.worker_groups.pool import Pool
from tune.worker_groups.session import Workbench

# A gang that has been restarted so often is not unlucky: something on its node is broken.
MAX_RESTARTS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class GangConfig:
    """What every gang of a sweep consists of, its images, and where Ray Train leaves its marker."""

    capacity: Capacity
    base: GanConfig
    images: ImageBroadcast
    storage_path: str
    name: str


class Gangs:
    """The gangs of a sweep: started together, more as machines join, a thread each, sent home together."""

    def __init__(self, config: GangConfig) -> None:
        names = [f"gang-{index}" for index in range(config.capacity.gangs)]
        options = {
            "num_cpus": 0,
            # an async actor runs 1,000 calls at once by default; every worker and every trial keeps one open
            "max_concurrency": 100_000,
            "scheduling_strategy": beside_driver(),
        }
        self.pool = ray.remote(Pool).options(**options).remote(names)
        self._end = self.pool.ended.remote()
        self._config = config
        self._is_stopping = False
        self._lost: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        for name in names:
            self._start(name)

    def _start(self, name: str) -> None:
        thread = threading.Thread(target=self._keep, args=(self._config, name), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def count(self) -> int:
        """Gangs that are there or will be: all but those that are lost for good."""
        return len(self._threads) - len(self._lost)

    def grow_to(self, count: int) -> int:
        """Start gangs until there are `count`; returns how many were started."""
        missing = max(0, count - self.count())
        for _ in range(missing):
            name = f"gang-{len(self._threads)}"
            ray.get(self.pool.add.remote(name))
            self._start(name)
        return missing

    def _keep(self, config: GangConfig, name: str) -> None:
        reason = "its workers went home"
        try:
            build_trainer(config, name, self.pool).fit()
        except Exception as error:  # whatever ends a gang for good is the reason that its trials are given
            reason = f"{name} is lost: {type_and_last_line(error)}"
        if not self._is_stopping:
            self._lost[name] = reason  # first: the driver must know before a trial is told
            with contextlib.suppress(ray.exceptions.RayError):  # with Ray itself gone, the driver ends too
                ray.get(self.pool.lose.remote(name, reason))

    def why_all_are_lost(self) -> str | None:
        """The last reason when no gang is left or none can be had any more, else None."""
        if ray.wait([self._end], timeout=0)[0] and not self._is_stopping:
            return "the process that lends them has died"
        return list(self._lost.values())[-1] if len(self._lost) == len(self._threads) else None

    def wait_until_one_is_ready(self, on_wait: Callable[[list[GangStatus]], None], timeout_s: float) -> None:
        """Return when some gang can take a trial; the others join when they are ready.

        Raises: ConfigError when all are lost or none came up within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            status = self.status()
            if any(gang.state in ("idle", "busy") for gang in status):
                return
            if all(gang.state == "lost" for gang in status):
                raise ConfigError(f"no worker could be started: {status[0].reason}")
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"no worker was ready within {timeout_s:.0f} s; `ray status` tells what is lacking"
                )
            on_wait(status)
            time.sleep(0.1)

    def status(self) -> list[GangStatus]:
        """Every gang as it is now."""
        status: list[GangStatus] = ray.get(self.pool.status.remote())
        return status

    def stop(self, timeout_s: float = 20.0) -> None:
        """Send all workers home; those that do not go in time are ended with Ray."""
        self._is_stopping = True
        with contextlib.suppress(ray.exceptions.RayError):  # a dead pool has nobody to send
            ray.get(self.pool.stop.remote())
            deadline = time.monotonic() + timeout_s
            for thread in self._threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        ray.kill(self.pool)


class _Mourner(UserCallback):  # type: ignore[misc]  # ray is untyped here
    """Tells the pool at once that workers died: where their machine is gone, no new ones come to say so."""

    def __init__(self, pool: Any, name: str) -> None:
        self._pool, self._name = pool, name

    def after_exception(self, run_context: Any, worker_exceptions: Any) -> None:
        ray.get(self._pool.mourn.remote(self._name))


def build_trainer(config: GangConfig, name: str, pool: Any) -> TorchTrainer:
    """The Ray Train run that is one gang."""
    fewest, all_workers = config.capacity.min_workers, config.capacity.num_workers
    return TorchTrainer(
        work,
        train_loop_config={
            "gang": name,
            "pool": pool,
            "base": config.base.to_dict(),
            "images": config.images,
            "threads": config.capacity.cpus,
        },
        scaling_config=ScalingConfig(
            # a range: Ray Train starts a gang anew with what there is, and lets it grow again a minute later
            num_workers=all_workers if fewest == all_workers else (fewest, all_workers),
            use_gpu=config.capacity.gpus > 0,
            resources_per_worker=config.capacity.per_worker(),
        ),
        run_config=RunConfig(
            name=f"{config.name}/gangs/{name}",
            storage_path=config.storage_path,
            # controller_failure_limit: its default of -1 retries start-up time-outs for ever
            failure_config=FailureConfig(max_failures=MAX_RESTARTS, controller_failure_limit=2),
            logging_config=LoggingConfig(log_level="ERROR"),
            callbacks=[_Mourner(pool, name)],
            worker_runtime_env={"env_vars": worker_env(config.capacity.cpus)},
        ),
    )


def work(setup: dict[str, Any]) -> None:
    """The loop of one worker: ask the pool, do it, tell the pool, until it says stop."""
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    incarnation = ray.train.collective.broadcast_from_rank_zero(uuid.uuid4().hex if rank == 0 else None)
    torch.set_num_threads(setup["threads"])
    pool = setup["pool"]
    images = setup["images"].load(GanConfig.from_dict(setup["base"]).data)
    bench = Workbench(images, get_device(), rank, world_size)

    outcome: Outcome | None = None
    while True:
        command: Command = ray.get(
            pool.exchange.remote(setup["gang"], incarnation, rank, world_size, outcome)
        )
        if command.kind == "stop":
            return
        try:
            outcome = Outcome(value=bench.obey(command))
        except (ConfigError, Diverged, checkpoint.CheckpointError) as error:
            outcome = Outcome(error=str(error))  # raised by all ranks alike: the gang is sound
        except Exception as error:
            is_alone = world_size == 1
            outcome = Outcome(
                error=type_and_last_line(error), fatal=not is_alone, is_peer_lost=is_loss_of_a_peer(error)
            )
            if not is_alone:  # the peers may hang in a collective: only a restart frees them
                ray.get(pool.exchange.remote(setup["gang"], incarnation, rank, world_size, outcome))
                raise
            bench.clear()
