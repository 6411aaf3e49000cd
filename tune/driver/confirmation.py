"""RAY: measures the best states of a sweep again, since the best of many noisy values is partly luck.

Every tick of every trial is measured on the same latents and against the same held-out images. The best few
states are therefore measured on fresh latents, more of them, and against held-out images that the search has
not seen; the best of those is the winner.
"""

import dataclasses
import time
from collections.abc import Callable

import ray
import ray.exceptions

from common.text import last_line
from gan.config import GanConfig
from gan.metrics.named import METRICS
from gan.training.measuring.confirmation import MeasuredAgain
from tune.display.view import SweepView
from tune.driver.plan import SweepPlan
from tune.records.events import EventLog, StateConfirmed
from tune.records.trial_records import BASELINE_NUMBER, Checkpoint, Trial, apply, states_best_first
from tune.trial_keys import STATE_FILE
from tune.worker_groups.launcher import WorkerGroups
from tune.worker_groups.messages import StoredState

CANDIDATES = 5
IDLE_TIMEOUT_S = 2.0
LEAST_HELD_OUT = 400
"""Fewer held-out images than these are not divided between the search and the confirmation."""


def divided(config: GanConfig, num_held_out: int) -> GanConfig:
    """A new sweep's settings, with half of the held-out images left for the confirmation where possible."""
    if num_held_out < LEAST_HELD_OUT or config.evaluation.held_out_part != "all":
        return config
    return config.with_values({"evaluation.held_out_part": "search"})


def confirm_best(
    plan: SweepPlan,
    groups: WorkerGroups,
    log: EventLog,
    trials: dict[int, Trial],
    view: SweepView,
    check: Callable[[], None],
    note: Callable[[StateConfirmed], None],
) -> None:
    """Measure the best states and the baseline's again in the worker groups, and log the values.

    A state that cannot be measured is left out, with a line that says why.

    note: told of each value that was logged.
    check: called several times a second; raises what ends the sweep.
    """
    candidates = _candidates(trials, lambda again: _is_measured(again, plan.config.gan))
    if not candidates:
        return
    if not _has_idle_group(groups, check):
        view.say("the best states were not measured again: all workers are in the middle of a tick")
        return
    calls = {}
    for trial, state in candidates:
        stored = StoredState(plan.folder.location, f"{state.path}/{STATE_FILE}")
        if plan.folder.files.status(stored.name) is not None:
            config = plan.config.gan.with_searched(trial.values_at(state.images_seen))
            calls[groups.pool.confirm.remote(config, stored)] = (trial.number, state.path)
    with view.confirming(len(calls)):
        while calls:
            check()
            for call in ray.wait(list(calls), timeout=0.2)[0]:
                number, path = calls.pop(call)
                try:
                    measured = ray.get(call)
                except ray.exceptions.RayError as error:
                    view.say(f"trial {number}'s best state could not be measured again: {last_line(error)}")
                    continue
                event = _event(number, path, measured)
                log.record(event)
                apply(trials, event)
                note(event)


def _has_idle_group(groups: WorkerGroups, check: Callable[[], None]) -> bool:
    """Whether some group is idle, or soon will be. When a time budget ends, all may have a long way to go."""
    deadline = time.monotonic() + IDLE_TIMEOUT_S
    while True:
        check()
        if any(group.state == "idle" for group in ray.get(groups.pool.status.remote())):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def _event(number: int, path: str, measured: list[MeasuredAgain]) -> StateConfirmed:
    """What is logged of a state that was measured again, by the run's metric and perhaps by another one."""
    (metric, value, noise), *others = measured
    event = StateConfirmed(number=number, path=path, metric=metric, value=value, noise=noise)
    for second_metric, second, second_noise in others:
        event = dataclasses.replace(
            event, second_metric=second_metric, second=second, second_noise=second_noise
        )
    return event


def _is_measured(again: StateConfirmed, config: GanConfig) -> bool:
    """Whether nothing is missing; an earlier version measured by one network alone."""
    return again.second is not None or METRICS[config.evaluation.metric].second is None


def _candidates(
    trials: dict[int, Trial], is_measured: Callable[[StateConfirmed], bool] = lambda again: True
) -> list[tuple[Trial, Checkpoint]]:
    """The best states by the search, and the baseline's best, that have not been measured again yet."""
    states = states_best_first(trials)
    base = [(trial, state) for trial, state in states if trial.number == BASELINE_NUMBER]
    chosen = {state.path: (trial, state) for trial, state in [*states[:CANDIDATES], *base[:1]]}
    measured = {
        path
        for path, (trial, _) in chosen.items()
        if path in trial.confirmed and is_measured(trial.confirmed[path])
    }
    return [found for path, found in chosen.items() if path not in measured]
