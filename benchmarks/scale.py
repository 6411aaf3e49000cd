"""Cost of the driver: a sweep of many trials whose ticks do nothing, on many simulated worker groups.

    python benchmarks/scale.py [--trials 1000] [--groups 64] [--state-mib 20]

Tune, Optuna, the pool, the trials' actors and the tables are real; only the workers are simulated: one
process answers for all groups. What is left is the cost of the driver itself. States are empty, or as large
as --state-mib says, and are saved after each tick. Prints one JSON object at the end: wall-clock seconds per
trial and per tick (all trials' actors share a few cores), the driver's seconds of CPU per trial and per tick
in each quarter of the trials, its memory after each quarter, and how long the pool lets another call wait.
"""

import asyncio
import dataclasses
import functools
import itertools
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import ray
import tyro
from rich.console import Console

from common.storage.folder import Folder
from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig
from tune.config import SweepConfig
from tune.display.view import SweepView
from tune.driver import artifacts, sweep
from tune.driver.plan import SweepPlan
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial
from tune.space.default import default_space
from tune.worker_groups.launcher import WorkerGroupConfig, WorkerGroups, group_name
from tune.worker_groups.messages import CommandResult, StoredState, TickAnswer, WorkerCommand
from tune.worker_groups.pool import Pool

TICKS, TICK_IMAGES = 4, 64


@dataclasses.dataclass(frozen=True)
class Arguments:
    """How much is measured."""

    trials: int = 1000
    groups: int = 64
    state_mib: float = 0.0
    """Size of a trial's state; 0: a few bytes."""


class EmptyWorkers:
    """Answers for the workers of all groups, of one rank each, without training anything."""

    def __init__(self, pool: Any, names: list[str], metric: str, state_mib: float) -> None:
        self._pool, self._names, self._metric = pool, names, metric
        self._padding = bytes(int(state_mib * 2**20))

    async def work(self) -> None:
        """Execute the commands of the pool until it says stop."""
        await asyncio.gather(*(self._serve(name) for name in self._names))

    async def _serve(self, name: str) -> None:
        images, result = 0, None
        while True:
            command: WorkerCommand = await self._pool.report_and_wait.remote(name, "only", 0, 1, result)
            if command.kind == "stop":
                return
            value: Any = None
            if command.kind == "begin":
                images = _images_of(command.state)
            elif command.kind == "tick":
                images += TICK_IMAGES
                value = TickAnswer(
                    {"images_seen": float(images), self._metric: 1000.0 / images, "tick_s": 0.001}
                )
            elif command.kind == "confirm":
                value = (self._metric, 1000.0 / images, 0.0)
            elif command.kind == "save" and command.target is not None:
                data = images.to_bytes(8, "little") + self._padding
                await asyncio.to_thread(Folder(command.target.folder).write, command.target.name, data)
            else:
                value = np.frombuffer(images.to_bytes(8, "little") + self._padding, dtype=np.uint8)
            result = CommandResult(command.number, value=value)


def _images_of(state: Any) -> int:
    if isinstance(state, StoredState):
        state = np.frombuffer(Folder(state.folder).read(state.name) or b"", dtype=np.uint8)
    return 0 if state is None else int.from_bytes(state[:8].tobytes(), "little")


class EmptyWorkerGroups(WorkerGroups):
    """Worker groups without Ray Train runs."""

    def __init__(self, config: WorkerGroupConfig, *, state_mib: float) -> None:
        names = [group_name(index) for index in range(config.capacity.groups)]
        self.pool = ray.remote(Pool).options(num_cpus=0, max_concurrency=100_000).remote(names)
        workers = ray.remote(EmptyWorkers).options(num_cpus=0)
        self._workers = workers.remote(self.pool, names, config.base.evaluation.key(), state_mib)
        self._work = self._workers.work.remote()
        self.probe = PoolProbe(self.pool)
        self._is_stopping, self._lost, self._threads = False, {}, []
        self._count = len(names)

    def count(self) -> int:
        """The number that was asked for."""
        return self._count

    def why_all_are_lost(self) -> str | None:
        """None: they are never lost."""
        return None

    def stop(self, timeout_s: float = 20.0, tick_timeout_s: float = 2.0, *, ends_ray: bool = False) -> None:
        """Stop the workers, and only then the pool that they ask."""
        self.probe.stop()
        ray.get(self.pool.stop.remote())
        ray.get(self._work)
        ray.kill(self.pool)


class PoolProbe:
    """Measures how long the pool lets a call wait that needs no time itself."""

    waits_s: ClassVar[list[float]] = []

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def stop(self) -> None:
        """End the measurement."""
        self._is_over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._is_over.wait(0.2):
            began = time.monotonic()
            ray.get(self._pool.status.remote())
            self.waits_s.append(time.monotonic() - began)


class DriverMonitor:
    """Records time, CPU and memory of the driver as trials end."""

    def __init__(self, log: Path, trials: int) -> None:
        self._log, self._trials = log, trials
        self._read = self._ended = 0
        self.first_at = self.last_at = 0.0
        self.memory_mib: dict[int, float] = {}
        self.cpu_s: dict[int, float] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def stop(self) -> None:
        """End the recording."""
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        marks = [self._trials * quarter // 4 for quarter in range(1, 5)]
        while not self._is_over.wait(0.25):
            ended, now = self._count_ended(), time.monotonic()
            if ended and not self.first_at:
                self.first_at, self.cpu_s[ended] = now, time.process_time()
            if marks and ended >= marks[0]:
                self.memory_mib[ended], self.cpu_s[ended] = _memory_mib(), time.process_time()
                while marks and ended >= marks[0]:
                    marks.pop(0)
                self.last_at = now

    def _count_ended(self) -> int:
        """Number of ended trials; reads only what the log has gained, so that the cost does not grow."""
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._read)
                lines = [line for line in file if line.endswith(b"\n")]
            self._read += sum(map(len, lines))
            self._ended += sum(b'"trial_ended"' in line for line in lines)
        return self._ended


def run(arguments: Arguments, storage: str) -> tuple[dict[int, Trial], DriverMonitor]:
    """Run the sweep."""
    gan = GanConfig(
        data=DataConfig(resolution=16, max_images=300, held_out=60),
        network=NetworkConfig(width=4, latent_size=8),
        evaluation=EvaluationConfig(metric="swd"),
        batch=16,
        images=TICKS * TICK_IMAGES,
        images_per_tick=TICK_IMAGES,
        compile="off",
    )
    config = SweepConfig(
        gan=gan, name="empty", storage=storage, trials=arguments.trials, scheduler="none", search="random"
    )
    space = default_space()
    plan = SweepPlan(config=config, space=space, folder=SweepFolder(storage, "empty"))
    monitor = DriverMonitor(Path(storage, "empty", "events.jsonl"), arguments.trials)
    try:
        with (
            mock.patch.object(
                sweep, "WorkerGroups", functools.partial(EmptyWorkerGroups, state_mib=arguments.state_mib)
            ),
            mock.patch.object(sweep, "local_nodes", lambda: [{"CPU": float(arguments.groups)}]),
            mock.patch.object(
                artifacts, "export_best", lambda *args, **settings: None
            ),  # nothing was trained
        ):
            trials = sweep.run_sweep(plan, SweepView(Console(quiet=True), space, "swd", arguments.trials))
    finally:
        monitor.stop()
    return trials, monitor


def _memory_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Measure and print."""
    arguments = tyro.cli(Arguments, description=__doc__)
    with tempfile.TemporaryDirectory() as storage:
        trials, monitor = run(arguments, storage)
    seconds = monitor.last_at - monitor.first_at
    cpu_s = {
        later: (monitor.cpu_s[later] - monitor.cpu_s[earlier]) / (later - earlier)
        for earlier, later in itertools.pairwise(monitor.cpu_s)
    }
    print(
        json.dumps(
            {
                "trials": len(trials),
                "completed": sum(trial.state == "completed" for trial in trials.values()),
                "groups": arguments.groups,
                "seconds": round(seconds, 1),
                "trial_s": round(seconds / len(trials), 4),
                "tick_s": round(seconds / len(trials) / TICKS, 4),
                "driver_cpu_s_a_trial": {count: round(each, 4) for count, each in cpu_s.items()},
                "driver_cpu_s_a_tick": {count: round(each / TICKS, 4) for count, each in cpu_s.items()},
                "driver_mib": {count: round(mib) for count, mib in monitor.memory_mib.items()},
                "state_mib": arguments.state_mib,
                "saves_per_s": round(len(trials) * TICKS / seconds, 1),
                "pool_wait_s": {
                    share: round(float(np.quantile(PoolProbe.waits_s, share)), 4)
                    for share in (0.5, 0.99, 1.0)
                },
            }
        )
    )


if __name__ == "__main__":
    main()
