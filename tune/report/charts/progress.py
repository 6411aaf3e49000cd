"""The best value so far, as the sweep went on: over trials, images and worker-seconds."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from tune.records.events import Tick
from tune.report.charts import Answer, Chart
from tune.report.charts._shared import HOVER, rounded, share, with_values
from tune.report.data import SweepData


class Step(NamedTuple):
    """A tick that improved the best value so far, and what the sweep had spent by then."""

    value: float
    number: int
    images: float
    worker_s: float
    trials: int


def steps(sweep: SweepData) -> tuple[list[Step], Step | None]:
    """Every improvement in order of time, and what was spent in all (with the best value)."""
    ticks: list[tuple[Tick, int]] = []
    for trial in sweep.trials.values():
        before = 0
        for _, tick in trial.ticks:
            # images that were trained again after a loss count again
            trained = max(0, tick.images_seen - before)
            before = tick.images_seen
            ticks.append((tick, trained))
    found: list[Step] = []
    images = 0
    worker_s = 0.0
    begun: set[int] = set()
    best = float("inf")
    last: Step | None = None
    for tick, trained in sorted(ticks, key=lambda pair: pair[0].time):
        images += trained
        worker_s += sweep.seconds(tick.metrics) * sweep.workers
        begun.add(tick.number)
        value = tick.metrics.get(sweep.metric, float("inf"))
        if value < best:
            best = value
            found.append(Step(value, tick.number, images, worker_s, len(begun)))
        if found:
            last = found[-1]._replace(images=images, worker_s=worker_s, trials=len(begun))
    return found, last


_AXES = {
    "over images": ("images of all trials", "images"),
    "over cost": ("worker-seconds of all trials", "worker_s"),
    "over trials": ("trials begun", "trials"),
}


def _draw(sweep: SweepData) -> Answer:
    found, end = steps(sweep)
    if end is None:
        return Answer(text="No trial has a value yet that is a finite number.")
    figures = {label: _figure(sweep, found, end, *axis) for label, axis in _AXES.items()}
    return Answer(text=_said(sweep, found, end), figures=figures, height=340)


def _figure(sweep: SweepData, found: Sequence[Step], end: Step, title: str, field: str) -> go.Figure:
    every = [*found, end]
    said = [f"trial {step.number}: {step.value:.4g}" for step in every]
    figure = go.Figure(
        go.Scatter(
            x=[round(getattr(step, field), 1) for step in every],
            y=[rounded(step.value) for step in every],
            mode="lines+markers",
            line={"shape": "hv", "width": 2},
            marker={"size": [6] * len(found) + [0]},
            customdata=said,
            hovertemplate=HOVER,
            showlegend=False,
        )
    )
    with_values(figure, sweep, [step.value for step in every])
    return figure.update_layout(xaxis={"title": {"text": title}, "rangemode": "tozero"})


def _said(sweep: SweepData, found: Sequence[Step], end: Step) -> str:
    # what is lower by less than the noise floor is as good: the first such value is when the best was found
    floor = found[-1].value + (sweep.noise or 0.0)
    last = next(step for step in found if step.value <= floor)
    which = "The best value" if last == found[-1] else "A value as good as the best, within the noise floor,"
    text = (
        f"{which} came from trial {last.number}, after {share(last.images, end.images)} of all images "
        f"and {share(last.worker_s, end.worker_s)} of the cost"
    )
    if last.worker_s < 0.6 * end.worker_s:
        return f"{text}: what was spent since then found nothing better."
    return f"{text}: the sweep was still finding better settings late, and more trials may help."


CHART = Chart(
    place=20,
    word="Search",
    title="The search",
    question="When was the best found, and would more trials help?",
    draw=_draw,
)
