"""RAY: one sweep from its settings to its results, and how it goes on after a death; not what Tune is told.

Resuming does not use `Tuner.restore`, which unpickles what lies on the disk. A sweep's truth is its event log
and its study; a resumed sweep is a new Tuner whose searcher first hands out the unfinished trials.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray

from gan.config import GanConfig
from gan.data import Images, load_images
from gan.files import WriteError
from gan.interrupt import deferred
from gan.metrics import check_sizes
from gan.ray_session import cluster_nodes, local_nodes, start_ray
from tune import capacity
from tune.best import export_best
from tune.config import SweepConfig
from tune.events import EventLog, SweepStarted, read_events
from tune.gangs import GangConfig, Gangs
from tune.plan import SweepPlan
from tune.population import Population, surplus_checkpoints
from tune.recorder import Recorder
from tune.results import history_table, trials_table, write_tables
from tune.search import OptunaSearcher
from tune.space import Space, baseline
from tune.study import SweepStudy, images_of_run
from tune.trials import Trial, collect
from tune.tuning import build_scheduler, build_tuner, prepare_environment
from tune.view import SweepView

START_TIMEOUT_S = 300.0


class SweepError(Exception):
    """The sweep cannot go on; the message is one line with the reason."""


def run_sweep(plan: SweepPlan, view: SweepView) -> dict[int, Trial]:
    """Run the sweep to its end and return its trials; results lie in the plan's folder.

    Raises: ConfigError before anything is started, SweepError when it cannot go on, Interrupted after a
    signal; what is finished then is saved, and the tables and `best/` are up to date.
    """
    config = plan.config
    if config.address is None:
        capacity.plan(config, local_nodes())
    with view.reading() as on_progress:
        images = load_images(config.gan.data, on_progress=on_progress)
    _check_images(images, config.gan, plan.space)
    prepare_environment()
    with _ray(config.address):
        nodes = local_nodes() if config.address is None else cluster_nodes()
        plan = dataclasses.replace(plan, cluster_capacity=capacity.plan(config, nodes))
        plan.folder.begin(config, plan.space, is_resumed=plan.is_resumed)
        events = read_events(plan.folder.location) if plan.is_resumed else []
        trials = collect(events)
        with EventLog(plan.folder.location) as log:
            study = _open_study(plan, trials if plan.is_resumed else None)
            for event in study.unlogged:
                log.append(event)
            log.append(SweepStarted(resumed=plan.is_resumed, trials=config.trials))
            trials = collect(read_events(plan.folder.location))
            with _gangs(plan, view) as gangs:
                _tune(plan, gangs, log, trials, study, view)
        return dict(sorted(trials.items()))


def _tune(
    plan: SweepPlan,
    gangs: Gangs,
    log: EventLog,
    trials: dict[int, Trial],
    study: SweepStudy,
    view: SweepView,
) -> None:
    config, metric = plan.config, plan.config.gan.evaluation.metric
    searcher = OptunaSearcher(study, config.gan, metric=metric, mode="min")
    deadline = _deadline(config)

    with deferred() as raise_if_interrupted:

        def on_step() -> None:
            try:
                raise_if_interrupted()
            except BaseException:
                searcher.interrupted = True  # trials that end from here on are not over
                raise
            reason = gangs.why_all_are_lost()
            if reason is not None:
                searcher.interrupted = True
                raise SweepError(f"no worker is left: {reason}")
            if time.monotonic() > deadline:
                searcher.interrupted = True
                raise TimeBudgetReached
            view.refresh(trials)

        scheduler = build_scheduler(plan)
        removed: set[str] = set()

        def write(tune_trials: Sequence[Any] = ()) -> None:
            _write_tables(plan, log, trials)
            if isinstance(scheduler, Population):
                needed = set(map(plan.folder.relative, scheduler.needed_checkpoints(tune_trials)))
                for path in surplus_checkpoints(trials, needed | removed):
                    plan.folder.files.remove_folder(path)
                    removed.add(path)

        recorder = Recorder(
            log,
            trials,
            searcher,
            plan.space,
            relative=plan.folder.relative,
            metric=metric,
            images_of=lambda values: images_of_run(config.gan.with_values(values)),
            on_change=write,
            on_step=on_step,
        )
        try:
            with view.live(), contextlib.suppress(TimeBudgetReached):
                build_tuner(plan, gangs.pool, searcher, scheduler, recorder).fit()
        except BaseException as error:
            with contextlib.suppress(WriteError):  # on a full disk, what ended the sweep says more
                _save(plan, recorder, study, write)
            if recorder.broken is not None:
                raise recorder.broken from error
            raise
        _save(plan, recorder, study, write)


def _save(plan: SweepPlan, recorder: Recorder, study: SweepStudy, write: Callable[[], None]) -> None:
    recorder.interrupt_the_running()
    study.flush()
    write()
    export_best(plan.folder, recorder.trials, lower_is_better=True)


class TimeBudgetReached(BaseException):
    """Ends Tune's loop from a callback; no Exception, so that Tune does not take it for a failure."""


def _open_study(plan: SweepPlan, known: dict[int, Trial] | None) -> SweepStudy:
    config = plan.config
    return SweepStudy(
        plan.space,
        metric=config.gan.evaluation.metric,
        mode="min",
        name=plan.folder.name,
        location=plan.folder.location,
        num_trials=config.trials,
        # a population is proposed at once, so there is nothing to learn from
        search="random" if config.scheduler == "pbt" else config.search,
        seed=config.gan.seed,
        storage_url=config.study,
        points_to_evaluate=[baseline(plan.space, config.gan)],
        known=known,
    )


@contextlib.contextmanager
def _gangs(plan: SweepPlan, view: SweepView) -> Iterator[Gangs]:
    assert plan.cluster_capacity is not None
    gangs = Gangs(
        GangConfig(
            capacity=plan.cluster_capacity,
            base=plan.config.gan,
            storage_path=plan.folder.storage_path,
            name=plan.folder.name,
        )
    )
    try:
        with view.starting() as on_wait:
            gangs.wait_until_one_is_ready(on_wait, START_TIMEOUT_S)
        yield gangs
    finally:
        gangs.stop()


@contextlib.contextmanager
def _ray(address: str | None) -> Iterator[None]:
    is_ours = not ray.is_initialized()  # a caller's Ray is left running
    start_ray(address)
    try:
        yield
    finally:
        if is_ours:
            ray.shutdown()


def _check_images(images: Images, config: GanConfig, space: Space) -> None:
    batches = space["batch"].extremes() if "batch" in space else [config.batch]
    images.check_batch(int(max(batches)))
    check_sizes(len(images.train), len(images.held_out), config.data.source)


def _deadline(config: SweepConfig) -> float:
    budget = config.time_budget_s()
    return float("inf") if budget is None else time.monotonic() + budget


def _write_tables(plan: SweepPlan, log: EventLog, trials: dict[int, Trial]) -> None:
    log.flush()
    table = trials_table(trials, plan.space, plan.config.gan.evaluation.metric)
    write_tables(plan.folder.location, table, history_table(trials, plan.space))
