"""The trials of a sweep as its event log describes them: state, ticks, checkpoints, and which is best."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Set
from typing import Any, Final, Literal, TypeVar

from gan.training.health import DIVERGED
from tune.records.events import (
    CheckpointSaved,
    EndState,
    StateConfirmed,
    SweepEvent,
    SweepStarted,
    Tick,
    TrialStarted,
)
from tune.trial_keys import COMPLETE_KEY, FAILURE_KEY, STOPPED_KEY, VERDICT_KEY

State = Literal["running", "completed", "pruned", "failed", "interrupted"]

# All objectives are minimized, since the metrics of `gan.metrics` are distances: `best_first` sorts upwards,
# and Tune and Optuna have these words for it.
TUNE_MODE: Final = "min"
STUDY_DIRECTION: Final = "minimize"

BASELINE_NUMBER: Final = 0
"""Number of the trial with the base settings."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A saved state: its folder below the sweep's, after how many images, and its objective."""

    path: str
    images_seen: int
    value: float | None


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a trial ended, with a reason when it failed.

    That is its own fault (such as a loss that is not finite) unless it lost its workers.
    """

    state: EndState
    reason: str | None = None
    own_fault: bool = False
    verdict: str | None = None
    """For which it was stopped, or `diverged`."""


@dataclasses.dataclass(kw_only=True)
class Trial:
    """What the events say about one trial."""

    number: int
    trial_id: str = ""
    state: State = "running"
    reason: str | None = None
    own_fault: bool = False
    """Whether it failed by its settings; False when it lost its workers."""
    ended_for: str | None = None
    """The verdict for which it was stopped, or `diverged`; None where it ended for another reason."""
    attempt: int = 0
    started: float = math.nan
    attempt_started: float = math.nan
    ended: float = math.nan
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The current values of the searched settings; under population based training they change."""
    ticks: list[tuple[int, Tick]] = dataclasses.field(default_factory=list)
    """Attempt and event with the values at that time, in order of writing."""
    checkpoints: list[Checkpoint] = dataclasses.field(default_factory=list)
    confirmed: dict[str, StateConfirmed] = dataclasses.field(default_factory=dict)
    """States that were measured again, by path."""

    def is_unfinished(self) -> bool:
        """Whether a resumed sweep continues it."""
        return self.state in ("running", "interrupted")

    def last_tick(self) -> Tick | None:
        """The newest tick."""
        return self.ticks[-1][1] if self.ticks else None

    @property
    def images_seen(self) -> int:
        """Images up to its newest tick, 0 before the first."""
        last = self.last_tick()
        return last.images_seen if last else 0

    def verdict(self) -> tuple[str | None, str | None]:
        """The last verdict on it, and its evidence; None where there is none."""
        last = self.last_tick()
        if self.ended_for is not None and (last is None or self.ended_for != last.verdict):
            return self.ended_for, self.reason
        return (last.verdict, last.verdict_evidence) if last else (None, None)

    def valid_ticks(self) -> list[Tick]:
        """One tick for each number of images; where attempts overlap, the last one's."""
        return list({tick.images_seen: tick for _, tick in self.ticks}.values())

    def values_at(self, images_seen: int) -> dict[str, Any]:
        """The searched settings of the tick that ended after so many images."""
        found = [tick.values for tick in self.valid_ticks() if tick.images_seen == images_seen]
        return dict(found[-1] or self.values) if found else dict(self.values)

    def tick_of(self, path: str) -> Tick | None:
        """The tick after which the state at `path` was saved, None where it is not known."""
        images = {saved.images_seen for saved in self.checkpoints if saved.path == path}
        return next((tick for tick in self.valid_ticks() if tick.images_seen in images), None)

    def best_tick(self, metric: str) -> Tick | None:
        """The valid tick with the best value of `metric`, None when no value counts.

        Neither a value counts that is not finite nor one of a tick that had diverged.
        """
        return best_of((tick.counted(metric), tick) for tick in self.valid_ticks())

    def best_confirmed(self) -> StateConfirmed | None:
        """The best of its states that were measured again."""
        return best_of((state.value, state) for state in self.confirmed.values())

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest saved state."""
        return self.checkpoints[-1] if self.checkpoints else None

    def kept_checkpoints(self) -> list[Checkpoint]:
        """The saved states that are kept whatever happens to the trial: the best and the newest."""
        kept = (self.best_checkpoint(), self.last_checkpoint())
        return list({saved.path: saved for saved in kept if saved is not None}.values())

    def best_checkpoint(self) -> Checkpoint | None:
        """The saved state with the best objective that counts (see `best_tick`), None without one.

        Of a state that was saved again, the last version.
        """
        saved = {checkpoint.images_seen: checkpoint for checkpoint in self.checkpoints}.values()
        return best_of((state.value, state) for state in self.sound(saved))

    def sound(self, states: Iterable[Checkpoint]) -> list[Checkpoint]:
        """Those of its states that were not saved by a tick that had diverged."""
        diverged = {tick.images_seen for tick in self.valid_ticks() if tick.verdict == DIVERGED}
        return [state for state in states if state.images_seen not in diverged]


def collect(events: Iterable[SweepEvent]) -> dict[int, Trial]:
    """What the events say about every trial, by number."""
    trials: dict[int, Trial] = {}
    for event in events:
        apply(trials, event)
    return dict(sorted(trials.items()))


def apply(trials: dict[int, Trial], event: SweepEvent) -> None:
    """Change what is known about the trials by one event."""
    if isinstance(event, SweepStarted):
        return
    trial = trials.setdefault(event.number, Trial(number=event.number))
    if isinstance(event, TrialStarted):
        _start(trial, event)
    elif isinstance(event, Tick):
        if event.values:  # all of them: a member of a population that copies another loses its own
            trial.values = dict(event.values)
        trial.ticks.append((trial.attempt, dataclasses.replace(event, values=dict(trial.values))))
    elif isinstance(event, CheckpointSaved):
        saved = Checkpoint(path=event.path, images_seen=event.images_seen, value=event.value)
        trial.checkpoints.append(saved)
    elif isinstance(event, StateConfirmed):
        trial.confirmed[event.path] = event
    else:
        trial.state, trial.reason, trial.ended = event.state, event.reason, event.time
        trial.own_fault, trial.ended_for = event.own_fault, event.verdict


def trial_name(number: int) -> str:
    """`trial 0 (base settings)`."""
    return f"trial {number}" + " (base settings)" * (number == BASELINE_NUMBER)


def end_of(result: Mapping[str, Any]) -> Ending:
    """How a trial ended that stopped after `result`, its last one."""
    found = result.get(VERDICT_KEY)
    if FAILURE_KEY in result:
        name = found.name if found is not None else None
        return Ending("failed", reason=str(result[FAILURE_KEY]), own_fault=True, verdict=name)
    if result.get(COMPLETE_KEY):
        return Ending("completed")
    if STOPPED_KEY in result and found is not None:
        reason, is_fault = f"{found.name}: {found.evidence}", found.name == DIVERGED
        state: EndState = "failed" if is_fault else "pruned"
        return Ending(state, reason=reason, own_fault=is_fault, verdict=found.name)
    return Ending("pruned")


def best_first(candidates: Iterable[tuple[float | None, T]]) -> list[T]:
    """What comes with a finite value, the best value first; equal ones in the given order."""
    finite = [(value, found) for value, found in candidates if value is not None and math.isfinite(value)]
    return [found for _, found in sorted(finite, key=lambda pair: pair[0])]


def best_of(candidates: Iterable[tuple[float | None, T]]) -> T | None:
    """The first of `best_first`, None when no value is finite."""
    return next(iter(best_first(candidates)), None)


def states_best_first(trials: Mapping[int, Trial]) -> list[tuple[Trial, Checkpoint]]:
    """The saved states of all trials that had not diverged, the best one first.

    The best of many noisy values is a lucky one. The states that have been measured again are ranked by that,
    as far as they are the best ones by the search's own values; a better one may have come later.
    """
    saved = [(trial, state) for trial in trials.values() for state in trial.sound(trial.kept_checkpoints())]
    ranked = best_first((state.value, (trial, state)) for trial, state in saved)
    again = [trial.confirmed.get(state.path) for trial, state in ranked]
    count = next((place for place, found in enumerate(again) if found is None), len(again))
    lucky = zip(again[:count], ranked[:count], strict=True)
    return best_first((found.value, state) for found, state in lucky if found is not None) + ranked[count:]


def has_confirmed(trials: Mapping[int, Trial]) -> bool:
    """Whether any state was measured again, as at the end of a sweep."""
    return any(trial.confirmed for trial in trials.values())


def failed_winner(trials: Mapping[int, Trial]) -> str | None:
    """A line where the trial with the best state failed after it by its own fault, None otherwise."""
    states = states_best_first(trials)
    if not states or not states[0][0].own_fault:
        return None
    trial, state = states[0]
    return (
        f"the best state is of trial {trial.number} after {state.images_seen:,} images; later it failed: "
        f"{trial.reason}, so train with its settings no longer than that"
    )


def surplus_checkpoints(trials: Mapping[int, Trial], needed: Set[str]) -> list[str]:
    """Paths, relative to the sweep's folder, of states that are neither needed nor a trial's best or last."""
    surplus: list[str] = []
    for trial in trials.values():
        confirmed = trial.best_confirmed()
        kept = {saved.path for saved in trial.kept_checkpoints()} | ({confirmed.path} if confirmed else set())
        surplus += [saved.path for saved in trial.checkpoints if saved.path not in kept | needed]
    return surplus


def _start(trial: Trial, event: TrialStarted) -> None:
    trial.trial_id, trial.attempt = event.trial_id, event.attempt
    trial.state, trial.reason, trial.ended = "running", None, math.nan
    trial.own_fault, trial.ended_for = False, None
    trial.values |= event.values
    trial.attempt_started = event.time
    if math.isnan(trial.started):
        trial.started = event.time
