"""The append-only log of what happened in a sweep, from which every table is derived; not the tables."""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from common.storage.append_log import AppendedLines
from common.storage.folder import Folder, is_inside

LOG_NAME = "events.jsonl"

EndState = Literal["completed", "pruned", "failed", "interrupted"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepStarted:
    """The driver began, or began again, to run the sweep."""

    resumed: bool = False
    trials: int | None = None
    """Trials to propose in all."""
    time: float = dataclasses.field(default_factory=time.time)
    """Seconds since 1970, as of every event."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialStarted:
    """A trial began its first attempt, or a further one after it lost its workers or its driver."""

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
    """A trial reported the numbers of one tick."""

    number: int
    trial_id: str
    images_seen: int
    numbers: Mapping[str, float]
    values: Mapping[str, Any] | None = None
    """Searched settings of this tick where they change within a trial, as in population based training."""
    time: float = dataclasses.field(default_factory=time.time)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointSaved:
    """A trial's state after `images_seen` images lies at `path`."""

    number: int
    images_seen: int
    path: str
    value: float | None = None
    """The objective at that state."""
    time: float = dataclasses.field(default_factory=time.time)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialEnded:
    """A trial stopped; an interrupted one goes on when the sweep is resumed."""

    number: int
    state: EndState
    reason: str | None = None
    trial_id: str | None = None
    time: float = dataclasses.field(default_factory=time.time)


Event = SweepStarted | TrialStarted | Tick | CheckpointSaved | TrialEnded

_NAMES: dict[str, type[Event]] = {
    "sweep_started": SweepStarted,
    "trial_started": TrialStarted,
    "tick": Tick,
    "checkpoint_saved": CheckpointSaved,
    "trial_ended": TrialEnded,
}


class EventLog(AppendedLines):
    """Appends events to `events.jsonl` in a sweep's folder, a path or a URL; use it in a `with` block.

    On a disk every event is there when `record` returns, also after a kill of the process.
    """

    def __init__(self, location: str | Path, seconds_between_writes: float = 30.0) -> None:
        super().__init__(
            Folder(str(location)),
            LOG_NAME,
            remedy="free some space, then resume the sweep",
            seconds_between_writes=seconds_between_writes,
        )

    def record(self, event: Event) -> None:
        """Add one event at the end.

        Raises: WriteError in one line when the disk is full or the like; what was there before is intact.
        """
        self.append(to_line(event))


def read_events(location: str | Path) -> list[Event]:
    """Every event of a sweep's folder in the order of writing; none when there is no log.

    Lines that are torn, events of a kind that a newer version added, and states outside of the sweep's folder
    are left out.
    """
    content = Folder(str(location)).read(LOG_NAME) or b""
    return list(_parse(content))


def to_line(event: Event) -> bytes:
    """One event as a line of JSON."""
    kind = next(name for name, event_class in _NAMES.items() if type(event) is event_class)
    fields = {"event": kind} | {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    return json.dumps(_finite(fields), allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _parse(content: bytes) -> Iterator[Event]:
    for line in content.splitlines():
        # a torn line is no JSON, or lacks fields; what a newer version added is ignored
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            fields = json.loads(line)
            event_class = _NAMES[fields.pop("event")]
            known = {field.name for field in dataclasses.fields(event_class)}
            event = event_class(**{key: value for key, value in fields.items() if key in known})
            # a sweep reads the states that its log names, and removes them
            if not isinstance(event, CheckpointSaved) or is_inside(event.path):
                yield event


def _finite(value: Any) -> Any:
    # JSON has no NaN; NumPy's scalars become Python's
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
