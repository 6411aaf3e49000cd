"""The objective against each setting by itself."""

import warnings
from typing import Any

import optuna

from tune.display.leaderboard import short
from tune.report.charts import Answer, Chart
from tune.report.charts._shared import HOVER, is_log, log_axis, told, with_values
from tune.report.data import SweepData
from tune.report.study import study_of
from tune.space.domains import Choice


def _draw(sweep: SweepData) -> Answer:
    rows = sweep.ranked_rows
    if len(rows) < 2:
        return Answer(text="This needs two trials with a value.")
    study = study_of(sweep)
    seen = [path for path in sweep.space if sum(path in row.values for row in rows) > 1]
    if not seen:
        return Answer(text="No two trials with a value have a searched setting in common.")
    figures: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in seen:
            figure = optuna.visualization.plot_slice(study, params=[path], target_name=sweep.metric)
            (trace,) = figure.data
            # the study numbers the trials from best to worst
            of = [rows[number] for number in trace.marker.color]
            trace.update(
                customdata=[told(row, sweep) for row in of],
                hovertemplate=HOVER,
                marker={
                    "color": ["var(--vermillion)" if row is rows[0] else "var(--blue)" for row in of],
                    "size": [11 if row is rows[0] else 6 for row in of],
                    "opacity": 0.75,
                    "line": {"width": 0},
                    "colorbar": None,
                    "colorscale": None,
                    "showscale": False,
                },
            )
            with_values(figure, sweep, [row.best for row in rows], is_small=True)
            if isinstance(sweep.space[path], Choice):  # Optuna shows their repr
                trace.x = [short(row.values[path]) for row in of]
                figure.update_xaxes(categoryarray=list(dict.fromkeys(map(short, _choices(sweep, path)))))
            elif is_log(sweep, path):
                figure.update_xaxes(**log_axis([float(row.values[path]) for row in of]))
            figure.update_layout(
                title=None,
                xaxis={"title": None},
                yaxis={"title": None},
                margin={"t": 8, "l": 44, "b": 32},
            )
            figures[sweep.setting(path)] = figure
    return Answer(
        text=_said(sweep),
        figures=figures,
        arrangement="tiles",
        height=250,
        note="The large point is the best trial.",
    )


def _choices(sweep: SweepData, path: str) -> list[Any]:
    domain = sweep.space[path]
    listed = list(domain.values) if isinstance(domain, Choice) else []
    return listed + [row.values[path] for row in sweep.ranked_rows if path in row.values]


def _said(sweep: SweepData) -> str:
    """What the best trial has, and where the choice of a word made the largest difference."""
    rows = sweep.ranked_rows
    best = ", ".join(f"{sweep.setting(path)} {short(value)}" for path, value in rows[0].values.items())
    text = f"The best trial has {best}."
    for path, domain in sweep.space.items():
        if not isinstance(domain, Choice):
            continue
        by_value: dict[Any, list[float]] = {}
        for row in rows:
            if path in row.values and row.best is not None:
                by_value.setdefault(row.values[path], []).append(row.best)
        medians = {value: sorted(of)[len(of) // 2] for value, of in by_value.items() if len(of) >= 3}
        if len(medians) > 1:
            first, *_, last = sorted(medians.items(), key=lambda item: item[1])
            text += (
                f" The median trial with {sweep.setting(path)} {short(first[0])} reaches {first[1]:.3g}, "
                f"with {short(last[0])} {last[1]:.3g}."
            )
    return text


CHART = Chart(
    place=60,
    word="Settings",
    title="Each setting by itself",
    question="Which values of a setting were good, and were there enough of them?",
    draw=_draw,
)
