"""Keeps of a sweep's event log what can be shown: a log may be damaged, or come from a stranger."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tune.records.events import StateConfirmed, SweepEvent, SweepStarted, Tick, TrialStarted
from tune.space.domains import Choice, Domain
from tune.space.space import Space

# what a field may hold, by its name; None only where it has no value by default
_COUNTS = ("number", "images_seen", "attempt", "worker_group", "trials")
_NUMBERS = ("time", "value", "noise", "second", "second_noise")


def usable(events: Iterable[SweepEvent], space: Space) -> Iterator[SweepEvent]:
    """The events whose fields have the right types, without metrics that are no finite numbers.

    Values of settings that are not searched, or that their domain could not hold, are left out.
    """
    for event in events:
        fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        if not all(_is_sound(event, name, value) for name, value in fields.items()):
            continue
        if isinstance(event, Tick):
            metrics = {str(name): float(value) for name, value in event.metrics.items() if is_number(value)}
            values = None if event.values is None else _searched(event.values, space)
            yield dataclasses.replace(event, metrics=metrics, values=values)
        elif isinstance(event, TrialStarted):
            yield dataclasses.replace(event, values=_searched(event.values, space))
        else:
            yield event


def is_number(value: object) -> bool:
    """Whether it is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_sound(event: SweepEvent, name: str, value: Any) -> bool:
    if name in ("metrics", "values"):
        return isinstance(value, Mapping) or (name == "values" and isinstance(event, Tick) and value is None)
    if value is None:
        default = type(event).__dataclass_fields__[name].default
        return default is None
    if name in _COUNTS:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if name in _NUMBERS:
        return is_number(value)
    if name in ("resumed", "own_fault"):
        return isinstance(value, bool)
    is_state = name == "state" and not isinstance(event, StateConfirmed | SweepStarted)
    return isinstance(value, str) and (
        not is_state or value in ("completed", "pruned", "failed", "interrupted")
    )


def _searched(values: Mapping[str, Any], space: Space) -> dict[str, Any]:
    return {path: values[path] for path in space if path in values and _fits(space[path], values[path])}


def _fits(domain: Domain, value: Any) -> bool:
    if not isinstance(domain, Choice):
        return is_number(value)
    if all(is_number(each) for each in domain.values):
        return is_number(value)
    return isinstance(value, bool | str) and any(type(value) is type(each) for each in domain.values)
