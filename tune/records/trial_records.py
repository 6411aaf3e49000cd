"""What the event log says about each trial of a sweep: its state, ticks and checkpoints; not the tables."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Set
from typing import Any, Literal, TypeVar

from tune.records.events import CheckpointSaved, Event, SweepStarted, Tick, TrialStarted

State = Literal["running", "completed", "pruned", "failed", "interrupted"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A saved state: where it lies, after how many images, and its objective."""

    path: str
    images_seen: int
    value: float | None


@dataclasses.dataclass(kw_only=True)
class Trial:
    """What the events say about one trial."""

    number: int
    trial_id: str = ""
    state: State = "running"
    reason: str | None = None
    attempt: int = 0
    started: float = math.nan
    ended: float = math.nan
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The current values of the searched settings; under population based training they change."""
    ticks: list[tuple[int, Tick]] = dataclasses.field(default_factory=list)
    """Attempt and event with the values at that time, in order of writing."""
    checkpoints: list[Checkpoint] = dataclasses.field(default_factory=list)

    def is_unfinished(self) -> bool:
        """Whether a resumed sweep goes on with it."""
        return self.state in ("running", "interrupted")

    def valid_ticks(self) -> list[Tick]:
        """One tick for each number of images; where attempts overlap, the last one's."""
        return list({tick.images_seen: tick for _, tick in self.ticks}.values())

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest saved state."""
        return self.checkpoints[-1] if self.checkpoints else None

    def best_checkpoint(self, *, lower_is_better: bool = True) -> Checkpoint | None:
        """The saved state with the best objective; of a state saved again, the last one's."""
        saved = {checkpoint.images_seen: checkpoint for checkpoint in self.checkpoints}.values()
        return best_of(((saved_one.value, saved_one) for saved_one in saved), lower_is_better)


def collect(events: Iterable[Event]) -> dict[int, Trial]:
    """What the events say about every trial, by number."""
    trials: dict[int, Trial] = {}
    for event in events:
        apply(trials, event)
    return dict(sorted(trials.items()))


def apply(trials: dict[int, Trial], event: Event) -> None:
    """Let one event change what is known about the trials."""
    if isinstance(event, SweepStarted):
        return
    trial = trials.setdefault(event.number, Trial(number=event.number))
    if isinstance(event, TrialStarted):
        _start(trial, event)
    elif isinstance(event, Tick):
        trial.values |= event.values or {}
        trial.ticks.append((trial.attempt, dataclasses.replace(event, values=dict(trial.values))))
    elif isinstance(event, CheckpointSaved):
        saved = Checkpoint(path=event.path, images_seen=event.images_seen, value=event.value)
        trial.checkpoints.append(saved)
    else:
        trial.state, trial.reason, trial.ended = event.state, event.reason, event.time


def best_of(candidates: Iterable[tuple[float | None, T]], lower_is_better: bool) -> T | None:
    """What stands with the best finite value, the first of equal ones; None without a finite value."""
    finite = [(value, found) for value, found in candidates if value is not None and math.isfinite(value)]
    choose = min if lower_is_better else max
    return choose(finite, key=lambda pair: pair[0])[1] if finite else None


def surplus_checkpoints(trials: Mapping[int, Trial], needed: Set[str]) -> list[str]:
    """Paths, relative to the sweep's folder, of states that are neither needed nor a trial's best or last."""
    surplus: list[str] = []
    for trial in trials.values():
        kept = {
            saved.path for saved in (trial.last_checkpoint(), trial.best_checkpoint()) if saved is not None
        }
        surplus += [saved.path for saved in trial.checkpoints if saved.path not in kept | needed]
    return surplus


def _start(trial: Trial, event: TrialStarted) -> None:
    trial.trial_id, trial.attempt = event.trial_id, event.attempt
    trial.state, trial.reason, trial.ended = "running", None, math.nan
    trial.values |= event.values
    if math.isnan(trial.started):
        trial.started = event.time
