"""Every trial as a line through its settings, the best ones in colour: how settings go together."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from common.page.figures import INK, LINE
from tune.display.leaderboard import short
from tune.report.charts import Answer, Chart
from tune.report.charts._shared import GREY, HOVER, LEAST_TRIALS, is_log, of_trials, told
from tune.report.data import Row, SweepData
from tune.space.domains import Choice

# Plain lines: plotly's own trace of this kind needs `unsafe-eval`, which the page's policy refuses.
_UNUSED = -0.12
"""Height at which a line passes the axis of a setting that its trial has not."""


def _draw(sweep: SweepData) -> Answer:
    rows, top = sweep.ranked_rows, sweep.top()
    if len(rows) < 2:
        return Answer(text="This needs two trials with a value.")
    axes: list[Mapping[Any, float] | _Scale] = [_axis(sweep, path, rows) for path in sweep.space]
    objective = _Scale([row.best for row in rows if row.best is not None], is_log=True)
    figure = go.Figure()
    for group, style in (
        (rows[len(top) :][::-1], {"name": "others", "line": {"color": GREY, "width": 1}}),
        (top[:0:-1], {"name": f"best {len(top)}", "line": {"color": "var(--blue)", "width": 1.75}}),
        (
            top[:1],
            {"name": f"trial {top[0].number}, the best", "line": {"color": "var(--vermillion)", "width": 3}},
        ),
    ):
        if group:
            figure.add_trace(_lines(sweep, group, axes, objective).update(style))
    names = [*(sweep.setting(path) for path in sweep.space), sweep.metric]
    figure.update_layout(
        xaxis={
            "tickvals": list(range(len(names))),
            "ticktext": [name.replace(" ", "\n") for name in names],
            "showgrid": False,
            "zeroline": False,
            "range": [-0.3, len(names) - 0.5],
            "side": "bottom",
        },
        yaxis={"visible": False, "range": [_UNUSED - 0.06, 1.06]},
        shapes=[
            {
                "type": "line",
                "x0": x,
                "x1": x,
                "y0": 0,
                "y1": 1,
                "line": {"color": LINE, "width": 1},
                "layer": "below",
            }
            for x in range(len(names))
        ],
        annotations=[
            {
                "x": x,
                "y": y,
                "text": text,
                "showarrow": False,
                "xanchor": "left",
                "xshift": 3,
                "font": {"size": 11, "color": INK},
                "bgcolor": "var(--page)",
                "opacity": 0.85,
                "borderpad": 1,
            }
            for x, axis in enumerate([*axes, objective])
            for y, text in _ticks(axis)
        ],
        margin={"l": 20, "r": 50},
    )
    has_gaps = any(len(row.values) < len(sweep.space) for row in rows)
    return Answer(
        text=_said(sweep, top),
        figures={"parallel coordinates": figure},
        height=460,
        min_width=88 * len(names),
        note="A line that passes below an axis has no such setting: it belongs to another policy or family."
        * has_gaps,
    )


class _Scale:
    """Numbers of an axis as heights from 0 to 1."""

    def __init__(self, values: Sequence[float], *, is_log: bool) -> None:
        self._is_log = is_log and min(values) > 0
        self.low, self.high = min(values), max(values)

    def height(self, value: float) -> float:
        low, high, at = map(self._scaled, (self.low, self.high, value))
        return 0.5 if high == low else (at - low) / (high - low)

    def value_at(self, height: float) -> float:
        low, high = self._scaled(self.low), self._scaled(self.high)
        found = low + height * (high - low)
        return math.exp(found) if self._is_log else found

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._is_log else value


def _axis(sweep: SweepData, path: str, rows: Sequence[Row]) -> "Mapping[Any, float] | _Scale":
    domain = sweep.space[path]
    seen = [row.values[path] for row in rows if path in row.values]
    if isinstance(domain, Choice):
        found = list(dict.fromkeys([*domain.values, *seen]))
        return {value: place / max(1, len(found) - 1) for place, value in enumerate(found)}
    return _Scale([float(domain.low), float(domain.high), *map(float, seen)], is_log=is_log(sweep, path))


def _lines(
    sweep: SweepData,
    rows: Sequence[Row],
    axes: Sequence["Mapping[Any, float] | _Scale"],
    objective: _Scale,
) -> go.Scatter:
    xs: list[float | None] = []
    ys: list[float | None] = []
    said: list[str] = []
    for row in rows:
        for x, (path, axis) in enumerate(zip(sweep.space, axes, strict=True)):
            height = _UNUSED
            if path in row.values:
                value = row.values[path]
                height = axis.height(float(value)) if isinstance(axis, _Scale) else axis[value]
            xs.append(x)
            ys.append(round(height, 4))
        assert row.best is not None
        xs += [len(axes), None]
        ys += [round(objective.height(row.best), 4), None]
        said += [told(row, sweep)] * (len(axes) + 2)
    return go.Scatter(x=xs, y=ys, mode="lines", customdata=said, hovertemplate=HOVER)


def _ticks(axis: "Mapping[Any, float] | _Scale") -> list[tuple[float, str]]:
    if not isinstance(axis, _Scale):
        return [(height, short(value)) for value, height in axis.items()]
    if axis.low == axis.high:
        return [(0.5, short(axis.low))]
    return [(height, short(float(axis.value_at(height)))) for height in (0.0, 0.5, 1.0)]


def _said(sweep: SweepData, top: Sequence[Row]) -> str:
    """Where the best trials agree."""
    agreed = []
    for path, domain in sweep.space.items():
        seen = [row.values[path] for row in top if path in row.values]
        if len(seen) < len(top):
            continue
        if isinstance(domain, Choice):
            if len(set(seen)) == 1 and len(domain.values) > 1:
                agreed.append(f"{sweep.setting(path)} {short(seen[0])}")
            continue
        scale = _Scale([float(domain.low), float(domain.high), *map(float, seen)], is_log=is_log(sweep, path))
        if scale.height(max(seen)) - scale.height(min(seen)) <= 1 / 3:
            agreed.append(f"{sweep.setting(path)} from {short(min(seen))} to {short(max(seen))}")
    who = f"The best {len(top)} trials"
    if len(sweep.rows) < LEAST_TRIALS:
        return f"{who} are shown; what they have in common says little among {len(sweep.rows)} trials."
    if not agreed:
        among = " among them" * (len(top) > 3)
        return f"{who} ({of_trials(top[:3])}{among}) agree on no setting: there are several ways."
    return f"{who} agree on {'; '.join(agreed)}. Elsewhere they differ."


CHART = Chart(
    place=40,
    word="Together",
    title="How settings go together",
    question="What do the best trials have in common?",
    draw=_draw,
)
