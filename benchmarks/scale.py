"""What one head carries: a sweep of many trials whose ticks do nothing, over many gangs that are not there.

    python benchmarks/scale.py [--trials 1000] [--gangs 64]

Everything is real, Tune, Optuna, the pool, the trials' actors, the tables, but the workers: one process
answers for all gangs at once. What is left is what the driver itself costs. Prints one JSON object at the
end: seconds a trial and a tick on the clock (a few cores have all trials' actors to run, too), the driver's
seconds of CPU for a trial and a tick in each quarter of the trials, and its memory after each.
"""

import asyncio
import dataclasses
import itertools
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import ray
import tyro
from rich.console import Console

from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig
from tune.config import SweepConfig
from tune.display.view import SweepView
from tune.driver import artifacts, sweep
from tune.driver.plan import SweepPlan
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial
from tune.space.space import default_space
from tune.worker_groups.launcher import GangConfig, Gangs
from tune.worker_groups.messages import Command, Outcome
from tune.worker_groups.pool import Pool

TICKS, TICK_IMAGES = 4, 64


@dataclasses.dataclass(frozen=True)
class Arguments:
    """How much is measured."""

    trials: int = 1000
    gangs: int = 64


class EmptyWorkers:
    """Answers for the workers of all gangs, of one rank each, without training anything."""

    def __init__(self, pool: Any, names: list[str], metric: str) -> None:
        self._pool, self._names, self._metric = pool, names, metric

    async def work(self) -> None:
        """Obey the pool until it says stop."""
        await asyncio.gather(*(self._serve(name) for name in self._names))

    async def _serve(self, name: str) -> None:
        images, outcome = 0, None
        while True:
            command: Command = await self._pool.exchange.remote(name, "only", 0, 1, outcome)
            if command.kind == "stop":
                return
            value: Any = None
            if command.kind == "begin":
                images = 0 if command.state is None else int(command.state.view(np.int64)[0])
            elif command.kind == "tick":
                images += TICK_IMAGES
                value = {"images_seen": float(images), self._metric: 1000.0 / images, "tick_s": 0.001}
            else:
                value = np.array([images], dtype=np.int64).view(np.uint8)
            outcome = Outcome(value=value)


class EmptyGangs(Gangs):
    """Gangs without Ray Train runs behind them."""

    def __init__(self, config: GangConfig) -> None:
        names = [f"gang-{index}" for index in range(config.capacity.gangs)]
        self.pool = ray.remote(Pool).options(num_cpus=0, max_concurrency=100_000).remote(names)
        workers = ray.remote(EmptyWorkers).options(num_cpus=0)
        self._workers = workers.remote(self.pool, names, config.base.evaluation.key())
        self._workers.work.remote()
        self._is_stopping, self._lost, self._threads = False, {}, []
        self._count = len(names)

    def count(self) -> int:
        """As many as were asked for."""
        return self._count

    def why_all_are_lost(self) -> str | None:
        """They never are."""
        return None


class Watch:
    """Notes, as trials end, when and how much memory the driver has."""

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
        """No more is to come."""
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
        """Trials that have ended, from what the log has more than at the last look: the cost is the same."""
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._read)
                lines = [line for line in file if line.endswith(b"\n")]
            self._read += sum(map(len, lines))
            self._ended += sum(b'"trial_ended"' in line for line in lines)
        return self._ended


def run(arguments: Arguments, storage: str) -> tuple[dict[int, Trial], Watch]:
    """The sweep."""
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
    watch = Watch(Path(storage, "empty", "events.jsonl"), arguments.trials)
    try:
        with (
            mock.patch.object(sweep, "Gangs", EmptyGangs),
            mock.patch.object(sweep, "local_nodes", lambda: [{"CPU": float(arguments.gangs)}]),
            mock.patch.object(
                artifacts, "export_best", lambda *args, **settings: None
            ),  # nothing was trained
        ):
            trials = sweep.run_sweep(plan, SweepView(Console(quiet=True), space, "swd", arguments.trials))
    finally:
        watch.stop()
    return trials, watch


def _memory_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Measure and print."""
    arguments = tyro.cli(Arguments, description=__doc__)
    with tempfile.TemporaryDirectory() as storage:
        trials, watch = run(arguments, storage)
    seconds = watch.last_at - watch.first_at
    cpu_s = {
        later: (watch.cpu_s[later] - watch.cpu_s[earlier]) / (later - earlier)
        for earlier, later in itertools.pairwise(watch.cpu_s)
    }
    print(
        json.dumps(
            {
                "trials": len(trials),
                "completed": sum(trial.state == "completed" for trial in trials.values()),
                "gangs": arguments.gangs,
                "seconds": round(seconds, 1),
                "trial_s": round(seconds / len(trials), 4),
                "tick_s": round(seconds / len(trials) / TICKS, 4),
                "driver_cpu_s_a_trial": {count: round(each, 4) for count, each in cpu_s.items()},
                "driver_cpu_s_a_tick": {count: round(each / TICKS, 4) for count, each in cpu_s.items()},
                "driver_mib": {count: round(mib) for count, mib in watch.memory_mib.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
