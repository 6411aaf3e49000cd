"""What charts share: colours and symbols of a trial's state, its text, lines of many trials in one trace."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from common.page.figures import SOFT
from tune.display.leaderboard import short
from tune.report.data import Row, SweepData

# a colour and a symbol each, so that colour alone never tells them apart
STATES: Mapping[str, tuple[str, str]] = {
    "completed": ("var(--green)", "circle"),
    "pruned": ("var(--orange)", "triangle-down"),
    "failed": ("var(--vermillion)", "x"),
    "interrupted": ("var(--purple)", "square"),
    "running": ("var(--sky)", "diamond"),
}
GREY = "var(--grey)"
HOVER = "%{customdata}<extra></extra>"
LEAST_TRIALS = 10
"""Trials with a value from which on it is said what the best ones have in common."""
_FEW_DECADES = 20
_NEAR = 10
_CLOSE = 3


def told(row: Row, sweep: SweepData) -> str:
    """A trial in a few lines, for the box that appears when one points at it."""
    lines = [f"trial {row.number}{', base settings' if row is sweep.baseline else ''}: {row.ending}"]
    if row.best is not None:
        lines.append(f"{sweep.metric} {row.best:.4g} at {row.images_at_best:,} images")
    lines += [f"{sweep.setting(path)} {short(value)}" for path, value in row.values.items()]
    return "\n".join(lines)


def rounded(value: float | None) -> float | None:
    """Four digits, so that the page stays small."""
    return None if value is None else float(f"{value:.4g}")


def lines(
    rows: Iterable[Row], points: Mapping[int, tuple[Sequence[float], Sequence[float | None]]], **style: Any
) -> go.Scatter:
    """The lines of many trials as one trace, which is much faster than a trace each.

    points: x and y by the trial's number. Pointing at a line shows the trial's number.
    """
    xs: list[float | None] = []
    ys: list[float | None] = []
    said: list[str] = []
    for row in rows:
        x, y = points[row.number]
        xs += [*x, None]
        ys += [*y, None]
        said += [f"trial {row.number}"] * (len(x) + 1)
    return go.Scatter(
        x=xs, y=ys, mode="lines", customdata=said, hovertemplate="%{customdata}: %{y:.4g}<extra></extra>"
    ).update(style)


def with_values(
    figure: go.Figure, sweep: SweepData, values: Iterable[float | None], *, is_small: bool = False
) -> None:
    """Make y the axis of the objective, logarithmic where values allow it, with a line at its noise floor.

    A noise floor far below all values is only named: an axis that reaches down to it would flatten them. In
    a small figure it is not even named.
    """
    found = [value for value in values if value is not None]
    is_log = bool(found) and min(found) > 0
    noise = sweep.noise if sweep.noise is not None and sweep.noise > 0 else None
    is_near = noise is not None and bool(found) and noise >= min(found) / _NEAR
    scale = log_axis([*found, *([noise] if is_near and noise else [])]) if is_log else {}
    figure.update_yaxes(title_text=sweep.metric, **scale)
    if noise is None:
        return
    label = {"xref": "paper", "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}
    if not is_near:
        if not is_small:
            text = f"noise floor: {short(noise)}, far below"
            figure.add_annotation(text=text, x=0, xanchor="left", yref="paper", y=0, **label)
        return
    style = {"color": SOFT, "dash": "dot", "width": 1}
    figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=noise, y1=noise, line=style)
    # plotly takes the place of an annotation on a logarithmic axis as a logarithm, that of a shape not
    place = math.log10(noise) if scale.get("type") == "log" else noise
    figure.add_annotation(text="noise floor", x=1, xanchor="right", y=place, **label)


def is_log(sweep: SweepData, path: str) -> bool:
    """Whether a setting is searched on a logarithmic scale."""
    return bool(getattr(sweep.space[path], "log", False))


def log_axis(values: Iterable[float]) -> dict[str, Any]:
    """A logarithmic axis for positive values: labelled at powers of ten, with few of them also between.

    Where they are close together it would have no labels, and is linear.
    """
    found = [value for value in values if value > 0]
    if found and max(found) < _CLOSE * min(found):
        return {"type": "linear"}
    ticks: dict[str, Any] = {"type": "log", "dtick": 1, "exponentformat": "e"}
    if not found or max(found) / min(found) >= _FEW_DECADES:
        return ticks
    low, high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    places = [digit * 10.0**power for power in range(low, high + 1) for digit in (1, 2, 3, 5, 7)]
    return {**ticks, "tickvals": places, "ticktext": [short(float(f"{place:.3g}")) for place in places]}


def share(part: float, whole: float) -> str:
    """`12 %`; of nothing, `0 %`. The blank does not break."""
    return f"{part / whole:.0%}".replace("%", "\u00a0%") if whole else "0\u00a0%"


def times(part: float, whole: float) -> str:
    """`5.3 times`, `184 times`."""
    found = part / whole
    return f"{found:.1f} times" if found < 10 else f"{found:,.0f} times"


def of_trials(rows: Sequence[Row]) -> str:
    """`trial 3`, `trials 3 and 5`, `trials 3, 5 and 7`."""
    numbers = [str(row.number) for row in rows]
    if len(numbers) < 2:
        return f"trial {''.join(numbers)}"
    return f"trials {', '.join(numbers[:-1])} and {numbers[-1]}"
