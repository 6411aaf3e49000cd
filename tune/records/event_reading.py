"""Reads a sweep's event log, and keeps of it what holds what it should: it may be damaged, or foreign."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from common.errors import ConfigError
from common.storage.folder import Folder, is_inside
from common.text import counted
from tune.records.events import (
    KINDS,
    LOG_NAME,
    NAMES_BY_KEY,
    CheckpointSaved,
    EndState,
    StateConfirmed,
    SweepEvent,
    Tick,
    TrialEnded,
    TrialStarted,
)
from tune.space.domains import Choice, Domain
from tune.space.space import Space

TRIALS_CSV = "trials.csv"
"""The table of trials, which is made of the log."""

# what a field may hold, by its name; None only where it has no value by default
_COUNTS = ("number", "images_seen", "attempt", "worker_group", "trials")
_NUMBERS = ("time", "value", "noise", "second", "second_noise")
_FLAGS = ("resumed", "own_fault")


def read_events(location: str | Path) -> list[SweepEvent]:
    """Every event of a sweep's folder in the order of writing; an empty list without a log.

    Skips lines that cannot be read, of which `damage` tells, kinds of events that a newer version added,
    states outside the sweep's folder, events with a field of a wrong type, and metrics that are no finite
    numbers.

    Raises: ConfigError when the log is gone while the tables that were made of it are there.
    """
    folder = Folder(str(location))
    content = folder.read(LOG_NAME)
    if content is None and folder.status(TRIALS_CSV) is not None:
        raise ConfigError(
            f"{location} has lost its {LOG_NAME}, of which all else is made; put it back from a copy, or "
            "begin another sweep"
        )
    return list(_parse(content or b""))


def damage(location: str | Path) -> str | None:
    """One line about lines of a sweep's log that cannot be read, None where all can.

    An incomplete last line is no damage: the sweep is writing it, or was killed while it did.
    """
    content = Folder(str(location)).read(LOG_NAME) or b""
    broken = [number for number, line in enumerate(content.split(b"\n")[:-1], 1) if not _is_object(line)]
    if not broken:
        return None
    return (
        f"{counted(len(broken), 'line')} of {LOG_NAME} cannot be read, first line {broken[0]}: what happened "
        "there is left out everywhere; the file may have been edited, or its disk may be failing"
    )


def searched_only(events: Iterable[SweepEvent], space: Space) -> Iterator[SweepEvent]:
    """The events without values of settings that are not searched or that their domain could not hold."""
    for event in events:
        if isinstance(event, TrialStarted) or (isinstance(event, Tick) and event.values is not None):
            yield dataclasses.replace(event, values=_searched(event.values or {}, space))
        else:
            yield event


def is_number(value: object) -> bool:
    """Whether it is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _parse(content: bytes) -> Iterator[SweepEvent]:
    for line in content.splitlines():
        # an incomplete line is not JSON, or lacks fields; what a newer version added is ignored
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            fields = json.loads(line)
            kind = fields.pop("event")
            event_class, names = KINDS[kind], NAMES_BY_KEY[kind]
            event = event_class(**{names[key]: value for key, value in fields.items() if key in names})
            if not all(_is_sound(event, field.name) for field in dataclasses.fields(event)):
                continue
            if isinstance(event, Tick):
                finite = {name: float(value) for name, value in event.metrics.items() if is_number(value)}
                event = dataclasses.replace(event, metrics=finite)
            # a sweep reads and removes the states that its log names: a foreign path must not be among them
            if not isinstance(event, CheckpointSaved | StateConfirmed) or is_inside(event.path):
                yield event


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _is_sound(event: SweepEvent, name: str) -> bool:
    value = getattr(event, name)
    if value is None:
        return type(event).__dataclass_fields__[name].default is None
    if name in ("metrics", "values"):
        return isinstance(value, Mapping)
    if name in _COUNTS:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if name in _NUMBERS:
        return is_number(value)
    if name in _FLAGS:
        return isinstance(value, bool)
    if name == "state" and isinstance(event, TrialEnded):
        return value in get_args(EndState)
    return isinstance(value, str)


def _searched(values: Mapping[str, Any], space: Space) -> dict[str, Any]:
    return {path: values[path] for path in space if path in values and _fits(space[path], values[path])}


def _fits(domain: Domain, value: Any) -> bool:
    if not isinstance(domain, Choice):
        return is_number(value)
    if all(is_number(each) for each in domain.values):
        return is_number(value)
    return isinstance(value, bool | str) and any(type(value) is type(each) for each in domain.values)
