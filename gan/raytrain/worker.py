"""RAY: the loop that a Ray Train worker runs, and the driver that starts it; not how a run trains or looks.

State passes through the run's folder alone, so a killed worker and a killed driver are the same case: whoever
starts next goes on from the last saved tick. What the terminal shows comes through a queue, because what a
worker reports to Ray Train can take two seconds to arrive.
"""

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import ray
import ray.train
import ray.train.collective
import torch
from ray.train.torch import TorchTrainer, get_device
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.util.queue import Empty, Queue

from common.cluster.placement import Resources
from common.cluster.session import beside_driver, worker_env
from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from common.text import type_and_last_line
from gan.config import GanConfig
from gan.raytrain.broadcast import Spread
from gan.raytrain.events import Begun, Ended, Event, Stepped, Ticked
from gan.run_folder import Row, RunFolder, is_best
from gan.training.run import Diverged, GanRun
from gan.training.step_stats import StepProgress

# Often enough for a lost machine or two; what kills a worker more often will kill it for ever.
MAX_RESTARTS = 3
SECONDS_BETWEEN_STEP_EVENTS = 0.5
SECONDS_BETWEEN_POLLS = 0.25


def train(config: GanConfig, folder: Folder, resources: Resources, spread: Spread) -> Iterator[Event]:
    """Run to its end what lies in `folder`, from its last saved tick; yields events, at last an `Ended`.

    Ray must be started. Whoever stops iterating ends the workers by ending Ray.
    """
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    events = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": beside_driver()})
    trainer = build_trainer(config, folder, resources, spread, events)
    failure: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:  # handed to the thread that yields
            failure.append(error)

    thread = threading.Thread(target=fit, name="ray-train", daemon=True)
    thread.start()
    while True:
        was_alive = thread.is_alive()  # asked first: what it sent before it ended is then in the queue
        for event in _take_all(events):
            yield event
            if isinstance(event, Ended):
                thread.join(timeout=10 if event.outcome == "finished" else 0)
                return
        if not was_alive:
            yield Ended("failed", _reason(failure[0]) if failure else "the workers ended without a result")
            return
        time.sleep(SECONDS_BETWEEN_POLLS)


def _take_all(events: Queue) -> list[Event]:
    taken: list[Event] = []
    try:
        while True:
            taken.append(events.get_nowait())
    except Empty:
        return taken


def build_trainer(
    config: GanConfig, folder: Folder, resources: Resources, spread: Spread, events: Queue
) -> TorchTrainer:
    """The Ray Train run that trains `config` into `folder`."""
    # Any: ray.train's annotations name the classes of version 1, which version 2 refuses
    run_config: Any = RunConfig(
        name=".ray",  # its marker, by which every worker checks that it sees the driver's folder
        storage_path=folder.location,
        # controller_failure_limit: its default of -1 retries start-up time-outs for ever
        failure_config=FailureConfig(max_failures=MAX_RESTARTS, controller_failure_limit=2),
        worker_runtime_env={"env_vars": worker_env(resources.cpus)},
        logging_config=LoggingConfig(log_level="ERROR"),
    )
    return TorchTrainer(
        train_loop,
        train_loop_config={
            "config": config.to_dict(),
            "folder": folder.location,
            "spread": spread,
            "threads": resources.cpus,
            "events": events,
        },
        scaling_config=ScalingConfig(
            num_workers=resources.workers, use_gpu=resources.gpu, resources_per_worker=resources.per_worker()
        ),
        run_config=run_config,
    )


def train_loop(setup: dict[str, Any]) -> None:
    """What each worker does: train, and say how it ended. Returns normally unless a restart may help."""
    context = ray.train.get_context()
    torch.set_num_threads(setup["threads"])
    rank, world_size = context.get_world_rank(), context.get_world_size()
    teller = Teller(setup["events"])
    try:
        ended = _train_to_end(setup, rank, world_size, teller)
    except ConfigError as error:
        # the data or the folder are not as they were at the driver: a restart will not mend that
        teller.tell(Ended("failed", str(error)))
        return
    except Exception as error:
        if world_size > 1:  # perhaps because a peer died: what this rank met says nothing then
            raise
        teller.tell(Ended("failed", _reason(error)))
        return
    if rank == 0:
        teller.tell(ended)


def _train_to_end(setup: dict[str, Any], rank: int, world_size: int, teller: "Teller") -> Ended:
    config = GanConfig.from_dict(setup["config"])
    results = RunFolder(Folder(setup["folder"]))
    run = GanRun(
        config,
        setup["spread"].load(config.data),
        device=get_device(),
        rank=rank,
        world_size=world_size,
        on_step=teller.step if rank == 0 else None,
    )
    state = results.last_state()
    if state is not None:
        run.load_state_dict(state)
    history = results.history(up_to_images=run.images_seen)
    if rank == 0:
        teller.tell(Begun(run.images_seen))

    while not run.is_finished:
        try:
            row, grid = run.tick(), run.sample_grid()
        except Diverged as error:
            return Ended("diverged", error.reason)
        history.append(row)
        best = is_best(history, config.evaluation.key())
        problem = _save(results, history, run, grid, best)
        if problem:
            return Ended("failed", problem)
        if rank == 0:
            teller.tell(Ticked(row, best))
        ray.train.report(row)
    return Ended("finished", "")


def _save(results: RunFolder, history: list[Row], run: GanRun, grid: np.ndarray, best: bool) -> str | None:
    """Save the tick from rank 0; what went wrong is told to every rank, so that all end together."""
    state, problem = run.state_dict(), None
    if run.rank == 0:
        try:
            results.record(history, state, grid, is_best=best)
        except WriteError as error:
            problem = str(error)
    told: str | None = ray.train.collective.broadcast_from_rank_zero(problem)
    return told


class Teller:
    """Puts events into the driver's queue without waiting for it."""

    def __init__(self, events: Queue) -> None:
        self._events = events
        self._last_step = 0.0

    def tell(self, event: Event) -> None:
        """Send what must arrive: returns when it has."""
        self._events.put(event)

    def step(self, progress: StepProgress) -> None:
        """Send a step's numbers if the last were sent half a second ago or more."""
        now = time.monotonic()
        if now - self._last_step >= SECONDS_BETWEEN_STEP_EVENTS:
            self._last_step = now
            step = Stepped(
                images_seen=progress.images_seen,
                images_per_s=progress.images_per_s,
                generator_loss=progress.generator_loss,
                discriminator_loss=progress.discriminator_loss,
                accuracy_real=progress.accuracy_real,
                accuracy_fake=progress.accuracy_fake,
            )
            actor: Any = self._events.actor
            actor.put_nowait.remote(step)


def _reason(error: BaseException) -> str:
    failures = getattr(error, "worker_failures", None)
    root = next(iter(failures.values())) if failures else error
    return type_and_last_line(root)
