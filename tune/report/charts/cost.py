"""What each trial cost in worker-seconds, and how much went into trials that were given up."""

from collections.abc import Sequence

import plotly.graph_objects as go

from common.text import duration
from tune.report.charts import Answer, Chart
from tune.report.charts._shared import HOVER, STATES, share
from tune.report.data import Row, SweepData


def repeated_s(sweep: SweepData, row: Row) -> float:
    """Worker-seconds of ticks that were trained again, since their workers or the driver were lost."""
    valid = sum(sweep.seconds(tick.metrics) for tick in row.trial.valid_ticks())
    return max(0.0, row.worker_s - valid * sweep.workers)


def _draw(sweep: SweepData) -> Answer:
    rows = sorted((row for row in sweep.rows if row.worker_s > 0), key=lambda row: row.number)
    if not rows:
        return Answer(text="No tick has ended yet, or none says how long it took.")
    figure = go.Figure()
    for state, (colour, _) in STATES.items():
        of = [row for row in rows if row.trial.state == state]
        if of:
            figure.add_trace(
                go.Bar(
                    x=[row.number for row in of],
                    y=[round(row.worker_s, 1) for row in of],
                    name=state,
                    marker={"color": colour, "line": {"width": 0}},
                    customdata=[_told(sweep, row) for row in of],
                    hovertemplate=HOVER,
                    showlegend=True,
                )
            )
    figure.update_layout(
        barmode="stack",
        bargap=0.15,
        xaxis={"title": {"text": "trial"}, "showgrid": False},
        yaxis={"title": {"text": "worker-seconds"}},
    )
    note = "Time of all workers of a trial while it trained and measured; waiting for workers is not in it."
    return Answer(text=_said(sweep, rows), figures={"cost": figure}, height=320, note=note)


def _told(sweep: SweepData, row: Row) -> str:
    again = repeated_s(sweep, row)
    lines = [
        f"trial {row.number}: {row.ending}",
        f"{duration(row.worker_s)} for {row.trial.images_seen:,} images",
    ]
    return "\n".join(lines + [f"{duration(again)} of it repeated after a loss"] * (again >= 1))


def _said(sweep: SweepData, rows: Sequence[Row]) -> str:
    whole = sum(row.worker_s for row in rows)
    measuring = sweep.workers * sum(
        tick.metrics.get("evaluate_s", 0.0) for row in rows for _, tick in row.trial.ticks
    )
    text = f"The trials cost {duration(whole)} of worker time"
    parts = [
        f"{share(part, whole)} on {state} ones"
        for state in ("pruned", "failed")
        if (part := sum(row.worker_s for row in rows if row.trial.state == state)) > 0
    ]
    text += f", {' and '.join(parts)}" if parts else ", nothing of it on pruned or failed ones"
    text += f". Measuring took {share(measuring, whole)}"
    again = sum(repeated_s(sweep, row) for row in rows)
    if again > 0.001 * whole:
        text += f", and {share(again, whole)} was trained again after losses of workers or driver"
    if (saved := _saved(sweep, rows)) > 0:
        whole_images = saved + sum(row.trial.images_seen for row in rows)
        text += f". Pruned trials saved {share(saved, whole_images)} of the images"
    return f"{text}."


def _saved(sweep: SweepData, rows: Sequence[Row]) -> int:
    whole = sweep.config.gan.total_images()
    return sum(max(0, whole - row.trial.images_seen) for row in rows if row.trial.state == "pruned")


CHART = Chart(
    place=80,
    word="Cost",
    title="What it cost",
    question="What did each trial cost, and how much went into pruned ones?",
    draw=_draw,
)
