"""How trials ended, why, and where in the search space."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import plotly.graph_objects as go

from common.text import counted, printable
from tune.display.leaderboard import short
from tune.report.charts import Answer, Chart
from tune.report.charts._shared import HOVER, STATES, is_log, log_axis, told
from tune.report.data import Row, SweepData
from tune.space.domains import Choice

_LONGEST = 48
_FEWEST = 2


def ending(row: Row) -> str:
    """State and cause: the verdict that ended the trial, else the first words of its reason."""
    cause = row.trial.ended_for or row.trial.reason
    if cause is None:
        return row.trial.state
    text = printable(cause)
    return f"{row.trial.state}: {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}"


def _draw(sweep: SweepData) -> Answer:
    rows = sorted(sweep.rows, key=lambda row: row.number)
    if not rows:
        return Answer(text="No trial has begun yet.")
    figures = {"how they ended": _bars(rows)}
    axes = _plane(sweep)
    if axes is not None:
        figures["where in the space"] = _where(sweep, rows, axes)
    return Answer(text=_said(sweep, rows), figures=figures, arrangement="tiles", height=360 if axes else 170)


def _bars(rows: Sequence[Row]) -> go.Figure:
    counts = Counter((ending(row), row.trial.state) for row in rows)
    ordered = sorted(counts.items(), key=lambda item: (list(STATES).index(item[0][1]), -item[1]))
    figure = go.Figure(
        go.Bar(
            x=[count for _, count in ordered],
            y=[name for (name, _), _ in ordered],
            orientation="h",
            width=min(0.6, 0.1 * len(ordered)),
            marker={"color": [STATES[state][0] for (_, state), _ in ordered]},
            text=[count for _, count in ordered],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    return figure.update_layout(
        xaxis={"visible": False, "range": [0, 1.12 * max(counts.values())]},
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False, "tickfont": {"size": 12}},
        margin={"t": 8, "b": 8},
    )


def _plane(sweep: SweepData) -> tuple[str, str] | None:
    """The first two settings that are numbers: in the default space, both learning rates."""
    numeric = [
        path for path, domain in sweep.space.items() if not isinstance(domain, Choice) and not domain.when
    ]
    return (numeric[0], numeric[1]) if len(numeric) > 1 else None


def _where(sweep: SweepData, rows: Sequence[Row], axes: tuple[str, str]) -> go.Figure:
    figure = go.Figure()
    for state, (colour, symbol) in STATES.items():
        of = [row for row in rows if row.trial.state == state and set(axes) <= set(row.values)]
        if of:
            figure.add_trace(
                go.Scatter(
                    x=[row.values[axes[0]] for row in of],
                    y=[row.values[axes[1]] for row in of],
                    mode="markers",
                    name=state,
                    marker={"color": colour, "symbol": symbol, "size": 8},
                    customdata=[told(row, sweep) + _why(row) for row in of],
                    hovertemplate=HOVER,
                    showlegend=True,
                )
            )

    def axis(path: str) -> dict[str, Any]:
        seen = [float(row.values[path]) for row in rows if path in row.values]
        return {"title": {"text": sweep.setting(path)}, **(log_axis(seen) if is_log(sweep, path) else {})}

    return figure.update_layout(xaxis=axis(axes[0]), yaxis=axis(axes[1]))


def _why(row: Row) -> str:
    return f"\n{printable(row.trial.reason)[:120]}" if row.trial.reason else ""


def _said(sweep: SweepData, rows: Sequence[Row]) -> str:
    states = Counter(row.trial.state for row in rows)
    parts = [f"{count} {state}" for state, count in sorted(states.items(), key=lambda item: -item[1])]
    text = f"Of {counted(len(rows), 'trial')}, {', '.join(parts)}."
    for cause, count in Counter(row.trial.ended_for for row in rows if row.trial.ended_for).most_common(2):
        text += f" {counted(count, 'trial')} ended for {cause}{_apart(sweep, rows, cause)}."
    silent = sum(not row.trial.ticks and not row.trial.is_unfinished() for row in rows)
    return text + (f" {counted(silent, 'trial')} ended before the first tick." if silent else "")


def _apart(sweep: SweepData, rows: Sequence[Row], cause: str) -> str:
    """The number in which trials with an ending differ most from the others."""
    found: list[tuple[float, str]] = []
    for path, domain in sweep.space.items():
        if isinstance(domain, Choice):
            continue
        ours = [row.values[path] for row in rows if row.trial.ended_for == cause and path in row.values]
        others = [row.values[path] for row in rows if row.trial.ended_for != cause and path in row.values]
        if min(len(ours), len(others)) < _FEWEST:
            continue
        # the chance that one of ours has a larger value than one of the others (Mann and Whitney)
        wins = sum((a > b) + (a == b) / 2 for a in ours for b in others) / (len(ours) * len(others))
        name, middle, other = sweep.setting(path), short(median(ours)), short(median(others))
        what = f": their median {name} is {middle}, of the others {other}"
        found.append((abs(wins - 0.5), what))
    distance, what = max(found, default=(0.0, ""))
    return what if distance >= 0.3 else ""


CHART = Chart(
    place=70,
    word="Endings",
    title="How trials ended",
    question="What ended trials early, and where in the space?",
    draw=_draw,
)
