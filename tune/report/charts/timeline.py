"""Which trial trained on which worker group, and when; gaps are idle groups, or a sweep that did not run."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from common.page.figures import SOFT
from common.text import counted, duration
from tune.report.charts import Answer, Chart
from tune.report.charts._shared import HOVER, STATES, share
from tune.report.data import SweepData

_MOST_SESSIONS = 6
_GAP_S = 1.0
"""Ticks of a trial that are closer than this on one group, or than a tenth of a tick, are one stretch."""


@dataclasses.dataclass
class Stretch:
    """A trial that trained on a lane without a pause."""

    number: int
    state: str
    lane: str
    begin: float
    end: float
    ticks: int = 1


def stretches(sweep: SweepData) -> tuple[list[Stretch], bool]:
    """All stretches by their beginning, and whether the log says which worker group trained them.

    Logs of earlier sweeps do not: then each stretch has the first lane that is free.
    """
    found: list[Stretch] = []
    knows = True
    for trial in sweep.trials.values():
        open_one: Stretch | None = None
        for _, tick in trial.ticks:
            took = sweep.seconds(tick.metrics)
            begin = tick.time - took
            lane = "" if tick.worker_group is None else _lane(tick.worker_group, tick.node)
            knows = knows and tick.worker_group is not None
            if (
                open_one is not None
                and open_one.lane == lane
                and -_GAP_S <= begin - open_one.end <= max(_GAP_S, took / 10)
            ):
                open_one.end, open_one.ticks = tick.time, open_one.ticks + 1
            else:
                open_one = Stretch(trial.number, trial.state, lane, begin, tick.time)
                found.append(open_one)
    found.sort(key=lambda stretch: stretch.begin)
    if not knows:
        _pack(found)
    return found, knows


def _lane(group: int, node: str | None) -> str:
    return f"group {group}" + (f" on {node}" if node else "")


def _pack(found: Iterable[Stretch]) -> None:
    free_at: list[float] = []
    for stretch in found:
        place = next((i for i, end in enumerate(free_at) if end <= stretch.begin + _GAP_S), len(free_at))
        if place == len(free_at):
            free_at.append(0.0)
        free_at[place] = stretch.end
        stretch.lane = f"lane {place}"


def _draw(sweep: SweepData) -> Answer:
    found, knows = stretches(sweep)
    if not found:
        return Answer(text="No tick has ended yet.")
    lanes = sorted({stretch.lane for stretch in found}, key=lambda lane: (len(lane.split(" on ")[0]), lane))
    figures = {"the whole sweep": _figure(sweep, found, lanes, sweep.sessions)}
    bounds = [*sweep.sessions, float("inf")]
    parts = [
        [stretch for stretch in found if begin <= stretch.begin < end]
        for begin, end in itertools.pairwise(bounds)
    ]
    if sum(map(bool, parts)) > 1:
        for place, part in list(enumerate(parts, start=1))[-_MOST_SESSIONS:]:
            if part:
                figures[f"session {place}"] = _figure(sweep, part, lanes, [])
    note = "Colours are how the trial ended; point at a bar to see which it is."
    if not knows:
        note += (
            " The log of this sweep does not say which worker group trained a tick, as that of an earlier "
            "version, so each stretch is on the first lane that was free."
        )
    return Answer(
        text=_said(sweep, found, lanes, knows),
        figures=figures,
        height=min(640, 110 + 30 * len(lanes)),
        min_width=640,
        note=note,
    )


def _figure(
    sweep: SweepData, found: Sequence[Stretch], lanes: Sequence[str], sessions: Sequence[float]
) -> go.Figure:
    figure = go.Figure()
    for state, (colour, _) in STATES.items():
        of = [stretch for stretch in found if stretch.state == state]
        if of:
            figure.add_trace(
                go.Bar(
                    base=[round(stretch.begin * 1000) for stretch in of],
                    x=[max(1, round((stretch.end - stretch.begin) * 1000)) for stretch in of],
                    y=[stretch.lane for stretch in of],
                    orientation="h",
                    name=state,
                    width=0.72,
                    showlegend=True,
                    marker={"color": colour, "line": {"width": 1, "color": "var(--page)"}},
                    text=[str(stretch.number) for stretch in of],
                    textposition="inside",
                    insidetextanchor="middle",
                    textangle=0,
                    customdata=[_told(stretch) for stretch in of],
                    hovertemplate=HOVER,
                )
            )
    for time in sessions[1:]:
        figure.add_vline(time * 1000, line={"color": SOFT, "dash": "dot", "width": 1})
    return figure.update_layout(
        barmode="overlay",
        xaxis={"type": "date", "title": {"text": "UTC"}, "tickangle": 0, "nticks": 8},
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": list(lanes),
            "autorange": "reversed",
            "showgrid": False,
        },
        uniformtext={"mode": "hide", "minsize": 9},
    )


def _told(stretch: Stretch) -> str:
    ticks = counted(stretch.ticks, "tick")
    took = duration(stretch.end - stretch.begin)
    return f"trial {stretch.number}: {stretch.state}\n{stretch.lane}: {ticks}, {took}"


def _said(sweep: SweepData, found: Sequence[Stretch], lanes: Sequence[str], knows: bool) -> str:
    bounds = [*(sweep.sessions or [found[0].begin]), float("inf")]
    span = 0.0
    for begin, end in itertools.pairwise(bounds):
        part = [stretch for stretch in found if begin <= stretch.begin < end]
        if part:
            span += max(stretch.end for stretch in part) - min(stretch.begin for stretch in part)
    busy = sum(stretch.end - stretch.begin for stretch in found)
    were = "was" if len(lanes) == 1 else "were"
    who = f"{counted(len(lanes), 'worker group')} {were}"
    if not knows:
        who = f"Up to {counted(len(lanes), 'trial')} trained at once; as many groups would have been"
    text = f"{who} busy {share(busy, span * len(lanes))} of {duration(span)}"
    if len(sweep.sessions) > 1:
        text += f", in {counted(len(sweep.sessions), 'session')}; dotted lines are where it was resumed"
    return f"{text}."


CHART = Chart(
    place=90,
    word="Timeline",
    title="Who trained when",
    question="Were the workers busy, and where were gaps?",
    draw=_draw,
)
