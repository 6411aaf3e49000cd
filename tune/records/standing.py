"""Says how a sweep stands: whether its driver runs or has died, was stopped, or all is finished; pure."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Literal

from common.storage.lock_state import LockState
from gan.metrics.config import EvaluationConfig, count_name
from tune.records.events import SweepEvent, SweepStarted, Tick, TrialEnded, TrialStarted
from tune.records.trial_records import Trial, states_best_first

State = Literal["running", "finished", "stopped", "died", "unknown"]
"""`stopped`: by Ctrl-C, SIGTERM, an error or the time budget. `unknown`: the driver is on another machine."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """How a sweep stands."""

    state: State
    lock: LockState
    num_trials: int
    """Trials to propose in all."""
    num_finished: int
    sessions: int
    """How often it was started and resumed."""
    session_started: float | None
    """Seconds since 1970; None before the first event."""
    trained_since: float | None
    """Seconds since 1970 at which the last session's first trial began; None before."""
    trained_until: float | None
    """Of its last tick or trial's end; None before the first."""
    last_event: float | None
    images_before: int
    """Images that its trials had seen when the last session began."""
    has_state: bool
    """Whether a trial has saved a state, so that there is a best one."""


def standing(
    events: Iterable[SweepEvent], trials: Mapping[int, Trial], num_trials: int, lock: LockState
) -> Standing:
    """How a sweep with these events stands; num_trials: of its settings."""
    events = list(events)
    starts = [event for event in events if isinstance(event, SweepStarted)]
    started = starts[-1].time if starts else None
    if starts and starts[-1].trials is not None:
        num_trials = starts[-1].trials
    later = [] if started is None else [event for event in events if event.time >= started]
    finished = sum(not trial.is_unfinished() for trial in trials.values())
    return Standing(
        state=_state(lock, trials, is_finished=finished >= num_trials),
        lock=lock,
        num_trials=num_trials,
        num_finished=finished,
        sessions=len(starts),
        session_started=started,
        trained_since=next((event.time for event in later if isinstance(event, TrialStarted)), None),
        trained_until=max((each.time for each in later if isinstance(each, Tick | TrialEnded)), default=None),
        last_event=max((event.time for event in events), default=None),
        images_before=_images_before(trials, started),
        has_state=bool(states_best_first(trials)),
    )


def objective_name(evaluation: EvaluationConfig, trials: Mapping[int, Trial]) -> str:
    """The metric's name as in the ticks, such as fd_lite0_1k; before the first tick without its protocol.

    From the ticks, since `EvaluationConfig.key` asks the metric, which imports PyTorch.
    """
    plain = evaluation.metric
    names = {plain, f"{plain}_{count_name(evaluation.metric_images)}"}
    found = (
        name for trial in trials.values() for _, tick in trial.ticks for name in names & set(tick.metrics)
    )
    return next(found, plain)


def _state(lock: LockState, trials: Mapping[int, Trial], *, is_finished: bool) -> State:
    if lock.state == "held":
        return "running"
    if is_finished:  # also when its driver died after the last trial
        return "finished"
    if lock.state == "unknown":
        return "unknown"
    # a driver that ends says so of its trials, one that is killed does not
    is_cut = lock.state == "left" or any(trial.state == "running" for trial in trials.values())
    return "died" if is_cut else "stopped"


def _images_before(trials: Mapping[int, Trial], started: float | None) -> int:
    if started is None:
        return 0
    earlier = ([t.images_seen for _, t in trial.ticks if t.time < started] for trial in trials.values())
    return sum(seen[-1] for seen in earlier if seen)
