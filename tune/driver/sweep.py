"""RAY: runs or resumes a sweep, from its settings to its results.

Resuming does not use `Tuner.restore`, which unpickles files. The event log and the study hold everything: a
resumed sweep is a new Tuner whose searcher first hands out the unfinished trials.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping

from common.cli.signals import deferred
from common.cluster.session import cluster_nodes, local_nodes, ray_session
from common.cluster.shared_storage import check_seen_by_all
from common.storage.atomic import WriteError
from common.storage.lock import FolderLock
from gan.data.images import Images, check_same, remember
from gan.data.loading import load_images
from gan.metrics.preparation import check_same_network
from gan.raytrain.broadcast import broadcast_images
from gan.remarks import remarks
from tune.display.view import SweepView
from tune.driver.artifacts import ArtifactStore
from tune.driver.checks import check_images, check_memory
from tune.driver.confirmation import confirm_best, divided
from tune.driver.event_callback import EventCallback
from tune.driver.health_watch import HealthWatch
from tune.driver.plan import SweepPlan
from tune.driver.running import RunningSweep
from tune.driver.stopping import Scaling, StopConditions, SweepError, TakenOverError, TimeBudgetReached
from tune.driver.tracking import SweepTracking
from tune.driver.tuner import build_scheduler, build_tuner, prepare_environment, started_at_once
from tune.records.event_reading import read_events
from tune.records.events import EventLog, SweepStarted
from tune.records.trial_records import Trial, collect
from tune.search.journal import StudyStorage, name_of_study, remove_study
from tune.search.searcher import OptunaSearcher
from tune.search.study import SweepStudy
from tune.space.space import baseline
from tune.worker_groups import capacity
from tune.worker_groups.launcher import WorkerGroupConfig, WorkerGroups

START_TIMEOUT_S = 300.0


def run_sweep(plan: SweepPlan, view: SweepView) -> dict[int, Trial]:
    """Run the sweep to its end and return its trials; the results are in the plan's folder.

    Raises: ConfigError before anything is started, SweepError when it cannot continue, Interrupted after a
    signal; then everything is saved that is finished, and the tables and `best/` are up to date.
    """
    config = plan.config
    if config.address is None:
        capacity.plan(config, local_nodes())
    with plan.folder.claimed(is_new=not plan.is_resumed) as lock, _study(plan) as (study, study_name):
        with view.reading() as on_progress:
            images = load_images(config.gan.data, on_progress=on_progress)
        if not plan.is_resumed:
            config = dataclasses.replace(config, gan=divided(config.gan, len(images.held_out)))
            plan = dataclasses.replace(plan, config=config)
        else:
            check_same(
                plan.folder.images(),
                images,
                source=config.gan.data.source,
                accepts_change=plan.accepts_changed_data,
            )
        network = check_images(images, config.gan, plan.space)
        if config.address is None:
            check_memory(images, config, plan.space)
        if plan.is_resumed:
            check_same_network(plan.folder.network(), network, config.gan.evaluation.key())
        view.say_skipped(images)
        for remark in remarks(config.gan, searched=plan.space):
            view.say(remark)
        prepare_environment()
        # Ray turns exceptions of a signal's handler into errors of its own: from here on `check` raises them
        with EventLog(plan.folder.location) as log, deferred() as raise_if_interrupted:
            log.before_upload = study.flush
            check = functools.partial(_raise_if_over, raise_if_interrupted, lock, plan.folder.location)
            with ray_session(config.address, SweepError) as is_ours:
                check()
                nodes = local_nodes() if config.address is None else cluster_nodes()
                plan = dataclasses.replace(plan, cluster_capacity=capacity.plan(config, nodes))
                check_seen_by_all(plan.folder.files)
                check()
                plan.folder.begin(
                    config,
                    plan.space,
                    is_resumed=plan.is_resumed,
                    study_name=study_name,
                    images=remember(images),
                    network=network,
                )
                trials = _begin_log(plan, log, study)
                tracking = contextlib.closing(SweepTracking(plan, trials, view.say))
                with tracking as told, _worker_groups(plan, images, view, check, ends_ray=is_ours) as groups:
                    _tune(plan, groups, log, trials, study, view, told, check)
        return dict(sorted(trials.items()))


def _raise_if_over(raise_if_interrupted: Callable[[], None], lock: FolderLock, location: str) -> None:
    """Raise when the user wants to stop, or when another driver has taken over the sweep."""
    raise_if_interrupted()
    if lock.lost_to is not None:
        raise TakenOverError(f"{location} is now written by {lock.lost_to}: this process stops")


def _begin_log(plan: SweepPlan, log: EventLog, study: SweepStudy) -> dict[int, Trial]:
    """Log the start and what only the study knows; returns the trials so far."""
    for event in study.unlogged:
        log.record(event)
    log.record(SweepStarted(resumed=plan.is_resumed, trials=plan.config.trials))
    log.flush()
    return collect(read_events(plan.folder.location))


def _tune(
    plan: SweepPlan,
    groups: WorkerGroups,
    log: EventLog,
    trials: dict[int, Trial],
    study: SweepStudy,
    view: SweepView,
    tracking: SweepTracking,
    check: Callable[[], None],
) -> None:
    """Run Tune to the end, or until something ends it; then everything is written."""
    config = plan.config
    diverged = set[str]()
    searcher = OptunaSearcher(
        study,
        metric=config.gan.evaluation.key(),
        # all members of a population run, and take turns in the worker groups
        max_running=groups.count if config.scheduler != "pbt" else lambda: math.inf,
        diverged=diverged,
    )
    scheduler = build_scheduler(plan, trials, diverged)
    watch = HealthWatch(config, trials, searcher.number_of, diverged)
    artifacts = ArtifactStore(plan, log, trials, study, scheduler)
    callback = EventCallback(
        RunningSweep(
            plan=plan,
            log=log,
            trials=trials,
            searcher=searcher,
            artifacts=artifacts,
            stop_conditions=StopConditions(searcher, groups, config.time_budget_s(), check),
            scaling=Scaling(plan, groups),
            view=view,
            tracking=tracking,
        )
    )
    try:
        with view.live(), started_at_once(plan), contextlib.suppress(TimeBudgetReached):
            build_tuner(plan, groups.pool, searcher, scheduler, watch, callback).fit()
    except TakenOverError:
        log.abandon()
        artifacts.grids.abandon()
        raise
    except BaseException as error:
        with contextlib.suppress(WriteError):  # on a full disk, the error that ended the sweep says more
            callback.interrupt_the_running()
            artifacts.close()
        if callback.broken is not None:
            raise callback.broken from error
        raise
    callback.interrupt_the_running()
    artifacts.close()  # first: what follows may be interrupted
    confirm_best(plan, groups, log, trials, view, check, tracking.note)
    artifacts.close(is_confirmed=True)


@contextlib.contextmanager
def _study(plan: SweepPlan) -> Iterator[tuple[SweepStudy, str]]:
    """The sweep's study and its name; removed from a database when the sweep ends before its first trial."""
    url, folder = plan.config.study, plan.folder
    name = folder.name
    if plan.is_resumed:
        name = folder.study_name() or name_of_study(
            StudyStorage(folder.location, url),
            [folder.name, plan.config.name or folder.name],
            is_shared=url is not None,
        )
    known = collect(read_events(folder.location)) if plan.is_resumed else None
    study = _open_study(plan, name, known)
    try:
        yield study, name
    except BaseException:
        if url is not None and not plan.is_resumed and not folder.has_begun():
            remove_study(url, name)
        raise


def _open_study(plan: SweepPlan, name: str, known: dict[int, Trial] | None) -> SweepStudy:
    config = plan.config
    return SweepStudy(
        plan.space,
        metric=config.gan.evaluation.key(),
        name=name,
        location=plan.folder.location,
        num_trials=config.trials,
        step_of=config.gan.nominal_images,
        # a population is proposed all at once, so that there is nothing to learn from
        search="random" if config.scheduler == "pbt" else config.search,
        seed=config.gan.seed,
        storage_url=config.study,
        first=baseline(plan.space, config.gan),
        known=known,
    )


@contextlib.contextmanager
def _worker_groups(
    plan: SweepPlan, images: Images, view: SweepView, check: Callable[[], None], *, ends_ray: bool
) -> Iterator[WorkerGroups]:
    assert plan.cluster_capacity is not None
    broadcast, said = broadcast_images(plan.config.gan.data, images)
    check()
    view.say(said)
    groups = WorkerGroups(
        WorkerGroupConfig(
            capacity=plan.cluster_capacity,
            base=plan.config.gan,
            images=broadcast,
            storage_path=plan.folder.storage_path,
            name=plan.folder.name,
            makes_grids=plan.config.grid_trials > 0 or bool(plan.config.tracking.names()),
        )
    )
    try:
        with view.starting() as show:

            def on_wait(states: Mapping[str, int]) -> None:
                check()
                show(states)

            groups.wait_until_one_is_ready(on_wait, START_TIMEOUT_S)
        yield groups
    finally:
        groups.stop(ends_ray=ends_ray)
