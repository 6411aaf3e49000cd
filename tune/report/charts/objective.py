"""The objective of every trial while it trained: over images, seconds and worker-seconds."""

import itertools
from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from common.page.figures import INK, SERIES
from tune.records.events import Tick
from tune.report.charts import Answer, Chart
from tune.report.charts._shared import GREY, lines, rounded, share, times, with_values
from tune.report.data import Row, SweepData

_NAMED = 5
Axis = Callable[[SweepData, Row, Sequence[Tick]], Sequence[float]]


def _images(sweep: SweepData, row: Row, ticks: Sequence[Tick]) -> list[float]:
    return [tick.images_seen for tick in ticks]


def _seconds(sweep: SweepData, row: Row, ticks: Sequence[Tick]) -> list[float]:
    return [round(tick.time - row.trial.started, 1) for tick in ticks]


def _worker_seconds(sweep: SweepData, row: Row, ticks: Sequence[Tick]) -> list[float]:
    took = itertools.accumulate(sweep.seconds(tick.metrics) for tick in ticks)
    return [round(seconds * sweep.workers, 1) for seconds in took]


_AXES: dict[str, tuple[str, Axis]] = {
    "over images": ("images seen", _images),
    "over time": ("seconds since the trial began", _seconds),
    "over cost": ("worker-seconds of training and measuring", _worker_seconds),
}


def _draw(sweep: SweepData) -> Answer:
    rows = sweep.ranked_rows
    if not rows:
        return Answer(text="No trial has a value yet that is a finite number.")
    figures = {label: _figure(sweep, rows, title, axis) for label, (title, axis) in _AXES.items()}
    return Answer(text=_said(sweep, rows[0]), figures=figures, height=460)


def _figure(sweep: SweepData, rows: Sequence[Row], title: str, axis: Axis) -> go.Figure:
    points = {}
    for row in rows:
        ticks = row.trial.valid_ticks()
        ys = [rounded(tick.metrics.get(sweep.metric)) for tick in ticks]
        points[row.number] = (axis(sweep, row, ticks), ys)
    named, others = rows[:_NAMED], rows[_NAMED:]
    figure = go.Figure()
    if others:
        figure.add_trace(lines(others[::-1], points, name="others", line={"color": GREY, "width": 1}))
    if sweep.baseline in others and sweep.baseline is not None:
        style = {"color": INK, "width": 1.5, "dash": "dash"}
        figure.add_trace(lines([sweep.baseline], points, name="base settings", line=style))
    for colour, row in reversed(list(zip(SERIES, named, strict=False))):
        name = f"trial {row.number}{' (base settings)' if row is sweep.baseline else ''}"
        style = {"color": colour, "width": 2.5 if row is named[0] else 1.5}
        trace = lines([row], points, name=name, line=style)
        figure.add_trace(trace.update(mode="lines+markers", marker={"size": 4}))
    with_values(figure, sweep, [value for _, ys in points.values() for value in ys])
    figure.update_layout(
        xaxis={"title": {"text": title}, "rangemode": "tozero"}, legend={"traceorder": "reversed"}
    )
    return figure


def _said(sweep: SweepData, best: Row) -> str:
    assert best.best is not None
    text = f"Trial {best.number} came lowest: {best.best:.4g} after {best.images_at_best:,} images"
    if sweep.noise is not None and sweep.noise > 0:
        text += f", {times(best.best, sweep.noise)} the noise floor of {sweep.noise:.3g}"
    if best.images_at_best == best.trial.images_seen:
        return f"{text}. That was its last tick, so longer training may go on improving it."
    last = best.trial.valid_ticks()[-1].metrics.get(sweep.metric)
    if last is None or best.best <= 0:
        return f"{text}; its last tick, at {best.trial.images_seen:,} images, was no better."
    more = share(last - best.best, best.best)
    return (
        f"{text}; its last tick, at {best.trial.images_seen:,} images, is {more} higher: no sign that longer "
        "training alone would help."
    )


CHART = Chart(
    place=10,
    word="Objective",
    title="The objective while training",
    question="How did the best trials get there, and would longer training help?",
    draw=_draw,
)
