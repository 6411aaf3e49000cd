"""RAY: builds Tune's Tuner and scheduler for a sweep, and sets the environment variables that Tune reads."""

import contextlib
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import ray.tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, Stopper, TuneConfig, Tuner
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tune.driver.plan import SweepPlan
from tune.records.trial_records import TUNE_MODE, Trial
from tune.search.early_stopping import EarlyStoppingRule, MedianRule, SuccessiveHalving
from tune.search.pbt import Population
from tune.search.scheduler import EarlyStopping, replay
from tune.search.searcher import OptunaSearcher
from tune.worker_groups.trainable import GanTrial

_PENDING = "TUNE_MAX_PENDING_TRIALS_PG"  # read by Tune 2.60 when a Tuner begins


def build_tuner(
    plan: SweepPlan,
    pool: Any,
    searcher: OptunaSearcher,
    scheduler: TrialScheduler,
    stopper: Stopper,
    callback: Callback,
) -> Tuner:
    """The Tuner of a sweep whose trials ask `pool` for their ticks."""
    config, metric = plan.config, plan.config.gan.evaluation.key()
    trainable = ray.tune.with_parameters(
        GanTrial,
        pool=pool,
        base=config.gan,
        objective=metric,
        location=plan.folder.location,
        ticks_per_save=config.ticks_per_save,
    )
    session = plan.folder.session()
    return Tuner(
        # a byte of memory: Tune wants a trial to reserve something, and the CPUs belong to the worker groups
        ray.tune.with_resources(trainable, {"memory": 1}),
        tune_config=TuneConfig(
            metric=metric,
            mode=TUNE_MODE,
            num_samples=-1,  # the searcher says when it is finished
            search_alg=searcher,
            scheduler=scheduler,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"trial_{searcher.number_of(trial.trial_id):04d}{session}",
            trial_name_creator=lambda trial: f"trial_{searcher.number_of(trial.trial_id):04d}",
        ),
        run_config=RunConfig(
            name=plan.folder.name,
            storage_path=plan.folder.storage_path,
            verbose=0,
            callbacks=[callback],
            stop=stopper,
            failure_config=FailureConfig(max_failures=config.max_failures),
            checkpoint_config=CheckpointConfig(
                # All: Tune would remove some before a log in an object store names newer ones, and each time
                # save the whole experiment. The sweep removes them itself (`artifacts.ArtifactStore`).
                num_to_keep=None,
                checkpoint_at_end=False,  # each result says whether it is saved; a failed one is not
            ),
        ),
    )


@contextlib.contextmanager
def started_at_once(plan: SweepPlan) -> Iterator[None]:
    """Within the block a Tuner starts the actors of as many trials at once as there are worker groups.

    With Tune's default of 1 the second worker group waits for two starts; a trial that ends while another's
    actor starts passes its own on, and the new one is wasted. A number that the user has set stays.
    """
    assert plan.cluster_capacity is not None
    if _PENDING in os.environ:
        yield
        return
    groups = plan.config.trials if plan.config.scheduler == "pbt" else plan.cluster_capacity.groups
    os.environ[_PENDING] = str(groups)
    try:
        yield
    finally:  # the next sweep of this process may have other groups
        del os.environ[_PENDING]


def build_scheduler(
    plan: SweepPlan, trials: Mapping[int, Trial], diverged: Collection[str]
) -> TrialScheduler:
    """The scheduler of the settings, with what earlier sessions of the sweep have measured.

    trials: those of the event log. diverged: ids of those that had diverged at their last tick.
    """
    config, base = plan.config, plan.config.gan
    tick = base.images_per_tick
    if config.scheduler == "pbt":
        interval = tick * config.perturb_ticks
        saved = {number: trial.last_checkpoint() for number, trial in trials.items()}
        continued = {
            number: base.nominal_images(state.images_seen) // interval * interval
            for number, state in saved.items()
            if state is not None
        }
        return Population(
            plan.space, interval=interval, seed=base.seed, continued=continued, diverged=diverged
        )
    rule: EarlyStoppingRule
    if config.scheduler == "asha":
        rule = SuccessiveHalving(
            first=tick * config.grace_ticks, end=tick * base.total_ticks(), reduction=config.reduction
        )
    elif config.scheduler == "median":
        rule = MedianRule(grace=tick * config.grace_ticks)
    else:
        return FIFOScheduler()
    replay(rule, trials, base)
    return EarlyStopping(rule, base.evaluation.key(), diverged)


def prepare_environment() -> None:
    """Set the environment variables that Tune reads; before Ray starts, so that its workers inherit them."""
    # Ray would print the errors of calls to actors that the sweep itself ends, as after a time budget
    os.environ["RAY_IGNORE_UNHANDLED_ERRORS"] = "1"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new one prints a banner whatever the verbosity
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the event log has the same, only once
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"  # a failed trial has no metric to report
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # ours ends Tune's loop between two of its steps
    # Tune's own state of the experiment: nobody reads it, and it costs more with every trial
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = str(24 * 3600)
    # otherwise Tune keeps all results of earlier checkpoints, which nobody reads either
    os.environ["TUNE_ONLY_STORE_CHECKPOINT_SCORE_ATTRIBUTE"] = "1"
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    # Ray Train 2.60 ends a worker group at the deadline of a drained node without the pool's knowledge: the
    # trial would wait for another node; without the watcher it is noticed like any other death
    os.environ["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] = "0"
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    logging.getLogger("ray.train").setLevel(logging.CRITICAL)
