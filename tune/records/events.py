"""The append-only event log of a sweep, from which every table is derived."""

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from common.storage.append_log import AppendedLines
from common.storage.folder import Folder
from gan.training.health import DIVERGED

LOG_NAME = "events.jsonl"

EndState = Literal["completed", "pruned", "failed", "interrupted"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepStarted:
    """The driver started or resumed the sweep."""

    resumed: bool = False
    trials: int | None = None
    """Trials to propose in all."""
    time: float = dataclasses.field(default_factory=time.time)
    """Seconds since 1970, as of every event."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialStarted:
    """A trial began its first attempt, or another one after it lost its workers or its driver."""

    number: int
    """Number of the trial in the sweep and in the Optuna study."""
    trial_id: str
    """Tune's name for the trial; a resumed trial has a new one."""
    attempt: int = 0
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Searched settings by dotted path."""
    time: float = dataclasses.field(default_factory=time.time)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tick:
    """A trial reported the metrics and statistics of one tick."""

    number: int
    trial_id: str
    images_seen: int
    metrics: Mapping[str, float]
    """`numbers` in the log."""
    values: Mapping[str, Any] | None = None
    """Searched settings of this tick where they change within a trial, as in population based training."""
    verdict: str | None = None
    """What is the matter with the trial (`gan.training.health`); None in the logs of earlier sweeps."""
    verdict_evidence: str | None = None
    worker_group: int | None = None
    """Index of the worker group that trained it; None in the logs of earlier sweeps."""
    node: str | None = None
    """Name of that group's machine."""
    time: float = dataclasses.field(default_factory=time.time)

    def counted(self, metric: str) -> float | None:
        """Its value of `metric`, None without one and where the run had diverged.

        The distance of garbage may be small by chance, so that it neither is anybody's best nor teaches a
        search anything.
        """
        return None if self.verdict == DIVERGED else self.metrics.get(metric)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointSaved:
    """A trial's state after `images_seen` images was saved at `path`."""

    number: int
    images_seen: int
    path: str
    value: float | None = None
    """The objective at that state."""
    time: float = dataclasses.field(default_factory=time.time)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StateConfirmed:
    """A saved state was measured again at the end of a sweep, on fresh latents and more images."""

    number: int
    path: str
    metric: str
    """Its name with its protocol, such as fd_compact_5k."""
    value: float
    noise: float
    """Noise floor: the value of real training images."""
    second: float | None = None
    """The value of the same samples by a metric with another network; None in the logs of earlier sweeps."""
    second_metric: str | None = None
    second_noise: float | None = None
    time: float = dataclasses.field(default_factory=time.time)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialEnded:
    """A trial stopped; an interrupted one continues when the sweep is resumed."""

    number: int
    state: EndState
    reason: str | None = None
    own_fault: bool = False
    """Whether it failed by its settings, such as when a loss is not finite; otherwise it lost its workers."""
    verdict: str | None = None
    """For which it was stopped, or `diverged`; None where it ended for another reason."""
    trial_id: str | None = None
    time: float = dataclasses.field(default_factory=time.time)


SweepEvent = SweepStarted | TrialStarted | Tick | CheckpointSaved | StateConfirmed | TrialEnded

KINDS: dict[str, type[SweepEvent]] = {
    "sweep_started": SweepStarted,
    "trial_started": TrialStarted,
    "tick": Tick,
    "checkpoint_saved": CheckpointSaved,
    "state_confirmed": StateConfirmed,
    "trial_ended": TrialEnded,
}
# fields whose key in the log is another: the logs of earlier sweeps have it
_KEYS = {"metrics": "numbers"}
NAMES_BY_KEY = {
    kind: {_KEYS.get(field.name, field.name): field.name for field in dataclasses.fields(event_class)}
    for kind, event_class in KINDS.items()
}


class EventLog(AppendedLines):
    """Appends events to `events.jsonl` in a sweep's folder, a path or a URL; use it in a `with` block.

    On a disk every event is written when `record` returns, so that it survives a kill of the process.
    """

    def __init__(self, location: str | Path, seconds_between_writes: float = 30.0) -> None:
        super().__init__(
            Folder(str(location)),
            LOG_NAME,
            remedy="free some space, then resume the sweep",
            seconds_between_writes=seconds_between_writes,
        )

    def record(self, event: SweepEvent) -> None:
        """Add one event at the end.

        Raises: WriteError in one line, such as when the disk is full; the events before it are intact.
        """
        self.append(to_line(event))


def to_line(event: SweepEvent) -> bytes:
    """One event as a line of JSON."""
    kind = next(name for name, event_class in KINDS.items() if type(event) is event_class)
    fields = {key: getattr(event, name) for key, name in NAMES_BY_KEY[kind].items()}
    line = json.dumps(_finite({"event": kind} | fields), allow_nan=False, separators=(",", ":"))
    return line.encode() + b"\n"


def _finite(value: Any) -> Any:
    # JSON has no NaN; NumPy's scalars become Python's
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
