"""RAY: the loop of a Ray Train worker, and the driver's function that starts the workers.

State passes only through the run's folder, so a killed worker and a killed driver are the same case: the next
start continues from the last saved tick. Events for the terminal pass through a queue, because a worker's
report to Ray Train can take two seconds to arrive.
"""

import os
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import ray
import ray.train
import ray.train.collective
import torch
from ray.train.torch import get_device
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.util.queue import Empty, Queue

from common.cluster.placement import Resources
from common.cluster.session import beside_driver, end_train_runs, worker_env
from common.cluster.trainer import WorkersTrainer
from common.errors import ConfigError
from common.memory import is_out_of_memory, release
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from common.text import type_and_last_line
from gan.config import GanConfig
from gan.raytrain.broadcast import ImageBroadcast
from gan.raytrain.events import Begun, Ended, RunEvent, Stepped, Ticked
from gan.run_folder import Row, RunFolder, is_best
from gan.training.health import Verdict, verdict, verdicts
from gan.training.run import Diverged, GanRun
from gan.training.step_stats import StepProgress

# Enough for a lost node or two; a cause that kills workers more often will not go away.
MAX_RESTARTS = 3
SECONDS_BETWEEN_STEP_EVENTS = 0.5
SECONDS_BETWEEN_POLLS = 0.25


def train(
    config: GanConfig,
    folder: Folder,
    resources: Resources,
    images: ImageBroadcast,
    check: Callable[[], None] = lambda: None,
) -> Generator[RunEvent, None, None]:
    """Train the run in `folder` to its end, from its last saved tick; yields events, the last is `Ended`.

    Ray must be started. The workers end when the generator is closed.

    check: called several times a second; raises what stops the run, such as a signal.
    """
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    events = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": beside_driver()})
    trainer = build_trainer(config, folder, resources, images, events)
    failure: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:  # passed to the thread that yields
            failure.append(error)

    thread = threading.Thread(target=fit, name="ray-train", daemon=True)
    thread.start()
    try:
        while True:
            check()
            was_alive = thread.is_alive()  # asked first: the queue then has all that was sent before the end
            for event in _take_all(events):
                yield event
                if isinstance(event, Ended):
                    thread.join(timeout=10 if event.outcome == "finished" else 0)
                    return
            if not was_alive:
                reason = _reason(failure[0]) if failure else "the workers ended without a result"
                yield Ended("failed", reason)
                return
            time.sleep(SECONDS_BETWEEN_POLLS)
    finally:
        end_train_runs([thread])


def _take_all(events: Queue) -> list[RunEvent]:
    taken: list[RunEvent] = []
    try:
        while True:
            taken.append(events.get_nowait())
    except Empty:
        return taken


def build_trainer(
    config: GanConfig, folder: Folder, resources: Resources, images: ImageBroadcast, events: Queue
) -> WorkersTrainer:
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
    return WorkersTrainer(
        train_loop,
        settings={
            "config": config.to_dict(),
            "folder": folder.location,
            "images": images,
            "threads": resources.cpus,
            "events": events,
        },
        scaling_config=ScalingConfig(
            num_workers=resources.workers, use_gpu=resources.gpu, resources_per_worker=resources.per_worker()
        ),
        run_config=run_config,
    )


def train_loop(setup: dict[str, Any]) -> None:
    """The loop of each worker: train, and send the outcome. Returns normally unless a restart may help."""
    context = ray.train.get_context()
    torch.set_num_threads(setup["threads"])
    rank, world_size = context.get_world_rank(), context.get_world_size()
    sender = EventSender(setup["events"])
    try:
        ended = _train_with_one_retry(setup, rank, world_size, sender)
    except ConfigError as error:
        # data or folder differ from what the driver saw: a restart does not help
        sender.send(Ended("failed", str(error)))
        return
    except Exception as error:
        if world_size > 1:  # perhaps because another rank died: then this rank's error is not the cause
            raise
        sender.send(Ended("failed", _reason(error)))
        return
    if rank == 0:
        sender.send(ended)


def _train_with_one_retry(setup: dict[str, Any], rank: int, world_size: int, sender: "EventSender") -> Ended:
    """Train to the end; once, after a lack of memory, again from the last saved tick.

    Another process may have taken the memory for a moment. With several ranks, Ray Train restarts all.
    """
    try:
        return _train_to_end(setup, rank, world_size, sender)
    except Exception as error:
        if world_size > 1 or not is_out_of_memory(error):
            raise
        release(error)
    return _train_to_end(setup, rank, world_size, sender)


def _train_to_end(setup: dict[str, Any], rank: int, world_size: int, sender: "EventSender") -> Ended:
    config = GanConfig.from_dict(setup["config"])
    results = RunFolder(Folder(setup["folder"]))
    run = GanRun(
        config,
        setup["images"].load(config.data),
        device=get_device(),
        rank=rank,
        world_size=world_size,
        on_step=sender.send_step if rank == 0 else None,
    )
    state = results.last_state()
    if state is not None:
        run.load_state_dict(state)
    metric = config.evaluation.key()
    history = results.history(up_to_images=run.images_seen)
    found = verdicts(history, metric)
    if rank == 0:
        sender.send(Begun(run.images_seen))

    while not run.is_finished:
        trouble = config.stopping.stops(found)
        if trouble is not None:
            return Ended("stopped", f"{trouble.name}: {trouble.evidence}", trouble)
        try:
            row, grid = run.tick(), run.sample_grid()
        except Diverged as error:
            return Ended("diverged", error.reason)
        history.append(row)
        found.append(verdict(history, metric))
        best = is_best(history, metric)
        problem = _save(results, history, found, run, grid, best)
        if problem:
            return Ended("failed", problem)
        if rank == 0:
            sender.send(Ticked(row, best, found[-1]))
        ray.train.report(row)
    return Ended("finished", "")


def _save(
    results: RunFolder,
    history: list[Row],
    found: list[Verdict],
    run: GanRun,
    grid: np.ndarray,
    best: bool,
) -> str | None:
    """Save the tick on rank 0; returns on every rank why it failed, so that all end together."""
    state, problem = run.state_dict(), None
    if run.rank == 0:
        try:
            results.record(history, found, state, grid, is_best=best)
        except WriteError as error:
            problem = str(error)
    shared: str | None = ray.train.collective.broadcast_from_rank_zero(problem)
    return shared


class EventSender:
    """Puts events into the driver's queue."""

    def __init__(self, events: Queue) -> None:
        self._events = events
        self._last_step = 0.0

    def send(self, event: RunEvent) -> None:
        """Send an event and wait until it has arrived."""
        self._events.put(event)

    def send_step(self, progress: StepProgress) -> None:
        """Send a step's numbers without waiting, at most every half second."""
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
