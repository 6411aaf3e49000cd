"""The append-only log of what happened in a sweep, from which every table is derived; not the tables."""

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from common.files import WriteError
from common.storage import Folder

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


class EventLog:
    """Appends events to `events.jsonl` in a sweep's folder, a path or a URL.

    On a disk every event is there when `append` returns, also after a kill of the process. An object store
    cannot append: there the whole log is written at most every `seconds_between_writes`, and at `flush`.
    A torn last line, left by a killed driver or a full disk, is dropped; the log goes on after it.
    """

    def __init__(self, location: str | Path, seconds_between_writes: float = 30.0) -> None:
        self._folder = Folder(str(location))
        self._file: _AppendedFile | None = None
        if self._folder.is_local:
            self._file = _AppendedFile(Path(self._folder.path(LOG_NAME)))
        else:
            content = self._folder.read(LOG_NAME) or b""
            self._lines = bytearray(content + _missing_newline(content))
        self._interval_s = seconds_between_writes
        self._next_write_s = time.monotonic()
        self._is_written = True

    def append(self, event: Event) -> None:
        """Add one event at the end.

        Raises: WriteError in one line when the disk is full or the like; what was there before is intact.
        """
        line = to_line(event)
        if self._file is not None:
            self._file.append(line)
            return
        self._lines += line
        self._is_written = False
        if time.monotonic() >= self._next_write_s:
            self.flush()

    def flush(self) -> None:
        """Write what an object store does not have yet."""
        if self._file is None and not self._is_written:
            self._folder.write(LOG_NAME, bytes(self._lines))
            self._is_written = True
            self._next_write_s = time.monotonic() + self._interval_s

    def close(self) -> None:
        """Flush, and let go of the file."""
        self.flush()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _AppendedFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._size = os.fstat(self._descriptor).st_size
            last = os.pread(self._descriptor, 1, self._size - 1) if self._size else b""
            self.append(_missing_newline(last))
        except OSError as error:
            raise self._error(error) from error

    def append(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)  # no half line stays
            raise self._error(error) from error
        self._size += len(data)

    def close(self) -> None:
        os.close(self._descriptor)

    def _error(self, error: OSError) -> WriteError:
        reason = error.strerror or str(error)
        return WriteError(f"{self._path} cannot be written: {reason}; free some space, then resume the sweep")


def read_events(location: str | Path) -> list[Event]:
    """Every event of a sweep's folder in the order of writing; none when there is no log.

    Lines that are torn, and events of a kind that a newer version added, are left out.
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
            yield event_class(**{key: value for key, value in fields.items() if key in known})


def _finite(value: Any) -> Any:
    # JSON has no NaN; NumPy's scalars become Python's
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _missing_newline(content: bytes) -> bytes:
    return b"" if not content or content.endswith(b"\n") else b"\n"
