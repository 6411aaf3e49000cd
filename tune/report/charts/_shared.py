"""What charts share: colours and symbols of a trial's state, its text, lines of many trials in one trace."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from common.page.figures import LINE, SOFT
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


def with_noise_floor(figure: go.Figure, noise: float | None) -> None:
    """A dashed line at the objective's noise floor."""
    if noise is not None and noise > 0:
        figure.add_hline(
            noise,
            line={"color": SOFT, "dash": "dot", "width": 1},
            annotation={"text": "noise floor", "xanchor": "right", "yanchor": "bottom"},
        )


def value_axis(sweep: SweepData, values: Iterable[float | None]) -> dict[str, Any]:
    """The axis of the objective: logarithmic where all values allow it."""
    found = [value for value in values if value is not None]
    is_log = bool(found) and min(found) > 0
    return {"title": {"text": sweep.metric}, "type": "log" if is_log else "linear", **LOG_TICKS}


def is_log(sweep: SweepData, path: str) -> bool:
    """Whether a setting is searched on a logarithmic scale."""
    return bool(getattr(sweep.space[path], "log", False))


# 2 and 5 between the powers of ten say little and collide
LOG_TICKS: dict[str, Any] = {"exponentformat": "power", "minor": {"gridcolor": LINE, "showgrid": False}}


def share(part: float, whole: float) -> str:
    """`12 %`; of nothing, `0 %`."""
    return f"{part / whole:.0%}".replace("%", " %") if whole else "0 %"


def of_trials(rows: Sequence[Row]) -> str:
    """`trial 3`, `trials 3 and 5`, `trials 3, 5 and 7`."""
    numbers = [str(row.number) for row in rows]
    if len(numbers) < 2:
        return f"trial {''.join(numbers)}"
    return f"trials {', '.join(numbers[:-1])} and {numbers[-1]}"
