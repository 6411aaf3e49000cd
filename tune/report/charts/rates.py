"""The two learning rates of every trial, with the balance policy as symbol, over a map of the objective."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from common.page.figures import INK, SCALE, SOFT
from tune.display.leaderboard import short
from tune.report.charts import Answer, Chart
from tune.report.charts._shared import HOVER, log_axis, told
from tune.report.data import Row, SweepData

GENERATOR, DISCRIMINATOR, POLICY = "optimizer.generator_lr", "optimizer.discriminator_lr", "balance.policy"
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "cross", "hexagon", "x")
_FEWEST_FOR_MAP = 12
_CELLS = 36
_WIDTH = 0.12
"""Of the map's kernel, in shares of the searched range."""


def _draw(sweep: SweepData) -> Answer:
    missing = [path for path in (GENERATOR, DISCRIMINATOR) if path not in sweep.space]
    if missing:
        return Answer(text=f"The sweep did not search {' and '.join(map(sweep.setting, missing))}.")
    rows = [row for row in sweep.ranked_rows if {GENERATOR, DISCRIMINATOR} <= set(row.values)]
    rows = [row for row in rows if row.values[GENERATOR] > 0 and row.values[DISCRIMINATOR] > 0]
    if not rows:
        return Answer(text="No trial has a value yet that is a finite number.")
    levels = [_level(row.best) for row in rows if row.best is not None]
    # not a shared colour axis: plotly.js 4.1 takes its numbers for colours in the legend
    colours = {"colorscale": SCALE}
    bounds = (min(levels), max(levels))
    figure = go.Figure()
    has_map = len(rows) >= _FEWEST_FOR_MAP and len(set(levels)) > 1
    if has_map:
        figure.add_trace(_map(rows, levels).update(colours, zmin=bounds[0], zmax=bounds[1]))
    policies = list(dict.fromkeys([*_choices(sweep), *(_policy(row) for row in rows)]))
    for place, policy in enumerate(policies):
        of = [(row, level) for row, level in zip(rows, levels, strict=True) if _policy(row) == policy]
        if not of:
            continue
        has_scale = not any(
            getattr(trace.marker, "showscale", False) for trace in figure.data if trace.type == "scatter"
        )
        figure.add_trace(
            go.Scatter(
                x=[row.values[GENERATOR] for row, _ in of],
                y=[row.values[DISCRIMINATOR] for row, _ in of],
                mode="markers",
                name=policy or "trials",
                customdata=[told(row, sweep) for row, _ in of],
                hovertemplate=HOVER,
                marker={
                    "symbol": _SYMBOLS[place % len(_SYMBOLS)],
                    "size": 10,
                    "color": [level for _, level in of],
                    "line": {"width": 1, "color": SOFT},
                    "cmin": bounds[0],
                    "cmax": bounds[1],
                    **colours,
                    "showscale": has_scale,
                    "colorbar": _colorbar(sweep, levels),
                },
                showlegend=False,
            )
        )
        if policy:  # its symbol alone: the colour says something else
            style = {"symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 10, "color": SOFT}
            figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=policy, marker=style))
    best = rows[0]
    figure.add_trace(
        go.Scatter(
            x=[best.values[GENERATOR]],
            y=[best.values[DISCRIMINATOR]],
            mode="markers",
            name="the best",
            marker={"symbol": "circle-open", "size": 20, "color": INK, "line": {"width": 2}},
            hoverinfo="skip",
        )
    )
    for path, update in ((GENERATOR, figure.update_xaxes), (DISCRIMINATOR, figure.update_yaxes)):
        update(title_text=sweep.setting(path), **log_axis([float(row.values[path]) for row in rows]))
    return Answer(
        text=_said(sweep, rows),
        figures={"learning rates": figure},
        height=520,
        note="The coloured map is a smooth average of nearby trials (a Gaussian kernel over the logarithms "
        "of both rates), shown where there are trials; the symbols are the policies." * has_map,
    )


def _level(value: float | None) -> float:
    """The objective as the colour scale takes it: its logarithm where it has one."""
    assert value is not None
    return math.log10(value) if value > 0 else value


def _colorbar(sweep: SweepData, levels: Sequence[float]) -> dict[str, Any]:
    """Ticks with the objective's own values."""
    is_log = all(row.best is not None and row.best > 0 for row in sweep.ranked_rows)
    places = np.linspace(min(levels), max(levels), 5).tolist()
    texts = [short(float(10**place if is_log else place)) for place in places]
    return {"title": {"text": sweep.metric, "side": "right"}, "tickvals": places, "ticktext": texts}


def _choices(sweep: SweepData) -> list[str]:
    return [str(value) for value in sweep.space[POLICY].values] if POLICY in sweep.space else []  # type: ignore[union-attr]


def _policy(row: Row) -> str:
    return str(row.values.get(POLICY, ""))


def _map(rows: Sequence[Row], levels: Sequence[float]) -> go.Contour:
    """The average level of nearby trials on a grid; nothing where none is near."""
    points = np.log10([[row.values[GENERATOR], row.values[DISCRIMINATOR]] for row in rows])
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    cells = np.linspace(0, 1, _CELLS)
    grid = np.stack(np.meshgrid(cells, cells), axis=-1).reshape(-1, 1, 2)
    distance = np.square((points - low) / span - grid).sum(axis=-1)
    weights = np.exp(-distance / (2 * _WIDTH**2))
    total = weights.sum(axis=1)
    level = weights @ np.array(levels) / np.maximum(total, 1e-12)
    level[total < np.exp(-2)] = np.nan  # further than two widths from every trial
    x, y = (10 ** (low[axis] + span[axis] * cells) for axis in (0, 1))
    return go.Contour(
        x=[float(f"{value:.4g}") for value in x],
        y=[float(f"{value:.4g}") for value in y],
        z=np.round(level, 4).reshape(_CELLS, _CELLS).tolist(),
        showscale=False,
        opacity=0.35,
        hoverinfo="skip",
        line={"width": 0},
        ncontours=14,
        showlegend=False,
    )


def _said(sweep: SweepData, rows: Sequence[Row]) -> str:
    def ratios(of: Sequence[Row]) -> list[float]:
        return sorted(row.values[DISCRIMINATOR] / row.values[GENERATOR] for row in of)

    best = rows[0]
    rates = [short(float(best.values[path])) for path in (GENERATOR, DISCRIMINATOR)]
    text = (
        f"The best trial, {best.number}, has rates of {rates[0]} (generator) and {rates[1]} (discriminator)"
    )
    top = [row for row in sweep.top() if row in rows]
    if len(top) < 2 or len(rows) <= len(top):
        return f"{text}."
    among, of_all = ratios(top), ratios(rows)
    return (
        f"{text}. Among the best {len(top)} trials the discriminator's rate is {short(among[0])} to "
        f"{short(among[-1])} times the generator's; among all, {short(of_all[0])} to {short(of_all[-1])}."
    )


CHART = Chart(
    place=50,
    word="Rates",
    title="The two learning rates",
    question="Which rates of generator and discriminator go together?",
    draw=_draw,
)
