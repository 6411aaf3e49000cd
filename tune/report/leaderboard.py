"""The ranking on the page: a line for each trial, which unfolds to its curves and pictures."""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from common.text import counted, duration, printable
from tune.display.leaderboard import short
from tune.records.events import Tick
from tune.report.charts._shared import rounded
from tune.report.data import Row, SweepData

_MOST_SETTINGS = 5
_SPARK_WIDTH, _SPARK_HEIGHT = 84, 20

Curve = tuple[str, Sequence[float | None], str]
"""Name, values and colour."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of the ranking."""

    text: str
    value: str = ""
    """By which it is sorted; empty: missing."""
    is_text: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A trial in the ranking, and what its line unfolds to."""

    number: int
    name: str
    state: str
    cells: Sequence[Cell]
    spark: str
    """Points of a polyline: the objective over the trial's ticks; empty with fewer than two."""
    facts: Mapping[str, str]
    curves: Mapping[str, Any]
    frames: Sequence[tuple[str, bytes]]
    """Captions and pictures over time."""


def headings(sweep: SweepData) -> list[tuple[str, bool]]:
    """The headings of `Line.cells`, and whether a column holds texts."""
    again = [("measured again", False)] if _is_confirmed(sweep) else []
    fixed = [(sweep.metric, False), *again, ("at images", False), ("ended", True), ("cost", False)]
    return fixed + [(sweep.setting(path), False) for path in _shown_settings(sweep)]


def board(sweep: SweepData) -> list[Line]:
    """All trials, the best first."""
    return [_line(sweep, row) for row in sweep.rows]


def frames_of(sweep: SweepData, number: int) -> list[tuple[str, bytes]]:
    """A trial's pictures over time with captions."""
    return [
        (f"{images:,} images", picture)
        for images, picture in sweep.pictures.over_time.get(number, {}).items()
    ]


def _line(sweep: SweepData, row: Row) -> Line:
    ticks = sorted(row.trial.valid_ticks(), key=lambda tick: tick.images_seen)
    cells = [_number_cell(row.best)]
    if _is_confirmed(sweep):
        cells.append(_number_cell(row.confirmed))
    at = row.images_at_best
    cells += [
        Cell(text="" if at is None else f"{at:,}", value="" if at is None else str(at)),
        Cell(text=row.ending, value=row.ending, is_text=True),
        Cell(text=duration(row.worker_s) if row.worker_s else "", value=f"{row.worker_s:.1f}"),
    ]
    for path in _shown_settings(sweep):
        value = row.values.get(path)
        cells.append(Cell(text=short(value), value="" if value is None else str(value)))
    return Line(
        number=row.number,
        name=f"{row.number}{' · base settings' if row is sweep.baseline else ''}",
        state=row.trial.state,
        cells=cells,
        spark=_spark([tick.metrics.get(sweep.metric) for tick in ticks]),
        facts=_facts(sweep, row, ticks),
        curves=_curves(sweep, ticks),
        frames=frames_of(sweep, row.number),
    )


def _is_confirmed(sweep: SweepData) -> bool:
    return any(row.confirmed is not None for row in sweep.rows)


def _shown_settings(sweep: SweepData) -> list[str]:
    """Settings with a column: those that every trial has."""
    return [path for path, domain in sweep.space.items() if not domain.when][:_MOST_SETTINGS]


def _number_cell(value: float | None) -> Cell:
    return Cell(text="" if value is None else f"{value:.4g}", value="" if value is None else repr(value))


def _facts(sweep: SweepData, row: Row, ticks: Sequence[Tick]) -> dict[str, str]:
    trial = row.trial
    changed = {path for path in sweep.space if len(_distinct(ticks, path)) > 1}
    found = {
        sweep.setting(path): str(value) if not isinstance(value, float) else f"{value:.5g}"
        for path, value in row.values.items()
    }
    for path in changed:
        name = sweep.setting(path)
        if name in found:
            found[name] += f" at its best; it changed {counted(len(_distinct(ticks, path)) - 1, 'time')}"
    if "seed" in trial.values and "seed" not in sweep.space:
        found["seed"] = str(trial.values["seed"])
    found["state"] = trial.state
    if trial.reason:
        found["reason"] = trial.reason
    verdict, evidence = trial.verdict()
    if verdict is not None:
        found["verdict"] = verdict + (f": {evidence}" if evidence and evidence != trial.reason else "")
    found["images"] = f"{trial.images_seen:,} in {counted(len(ticks), 'tick')}"
    if trial.attempt:
        found["attempts"] = f"{trial.attempt + 1}, since it lost its workers or its driver"
    if trial.started == trial.started:  # not NaN
        begun = datetime.datetime.fromtimestamp(trial.started, datetime.UTC)
        found["began"] = f"{begun:%Y-%m-%d %H:%M} UTC"
    if trial.trial_id:
        found["trial id"] = trial.trial_id
    return {name: printable(value) for name, value in found.items()}


def _distinct(ticks: Iterable[Tick], path: str) -> list[Any]:
    """The values of a setting, each stretch of equal ones once."""
    found: list[Any] = []
    for tick in ticks:
        value = (tick.values or {}).get(path)
        if value is not None and (not found or found[-1] != value):
            found.append(value)
    return found


def _curves(sweep: SweepData, ticks: Sequence[Tick]) -> dict[str, Any]:
    """The curves of a trial as small figures."""
    images = [tick.images_seen for tick in ticks]

    def curve(name: str, metric: str, colour: str) -> Curve:
        return name, [rounded(tick.metrics.get(metric)) for tick in ticks], f"var(--{colour})"

    found = {
        sweep.metric: [curve("objective", sweep.metric, "blue")],
        "losses": [
            curve("discriminator", "discriminator_loss", "orange"),
            curve("generator", "generator_loss", "green"),
        ],
        "the discriminator's accuracy": [
            curve("on real images", "accuracy_real", "orange"),
            curve("on generated ones", "accuracy_fake", "green"),
        ],
    }
    changing: list[Curve] = []
    for colour, path in zip(("blue", "orange", "green", "vermillion"), sweep.space, strict=False):
        seen = [(tick.values or {}).get(path) for tick in ticks]
        numbers = [value for value in seen if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(set(numbers)) > 1 and len(numbers) == len(seen):
            changing.append((sweep.setting(path), [rounded(value) for value in numbers], f"var(--{colour})"))
    if changing:
        found["settings, which changed while it trained"] = changing
    return {
        title: _figure(images, curves)
        for title, curves in found.items()
        if any(value is not None for _, values, _ in curves for value in values)
    }


def _figure(images: Sequence[int], curves: Sequence[Curve]) -> dict[str, Any]:
    every = [value for _, values, _ in curves for value in values if value is not None]
    is_log = min(every) > 0 and max(every) > 20 * min(every)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers" if len(images) < 3 else "lines",
                "name": name,
                "x": images,
                "y": values,
                "line": {"color": colour, "width": 1.75},
            }
            for name, values, colour in curves
        ],
        "layout": {
            "showlegend": len(curves) > 1,
            "hovermode": "x",
            "margin": {"l": 44, "r": 8, "t": 8, "b": 28},
            "yaxis": {"type": "log" if is_log else "linear", "nticks": 5},
            "xaxis": {"nticks": 5, "rangemode": "tozero"},
        },
    }


def _spark(values: Sequence[float | None]) -> str:
    found = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(found) < 2:
        return ""
    low, high = min(value for _, value in found), max(value for _, value in found)
    points = []
    for place, value in found:
        height = (value - low) / (high - low) if high > low else 0.5
        x, y = place / (len(values) - 1) * _SPARK_WIDTH, 2 + (1 - height) * (_SPARK_HEIGHT - 4)
        points.append(f"{x:.1f},{y:.1f}")
    return " ".join(points)
