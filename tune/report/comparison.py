"""Compares sweeps on an equal budget, with bootstrap intervals over trials.

What a sweep with fewer trials would have found: the expected best of k trials (Dodge et al. 2019, "Show Your
Work", equation 3). Its interval: the percentiles 2.5 and 97.5 over 2,000 resamples of the trials (Efron and
Tibshirani 1993, chapter 13). Departure: trials of a sampler that learns are not independent, which both treat
them as.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from common.errors import require
from common.page.figures import SERIES, SOFT
from common.text import counted, duration
from tune.records.trial_records import best_of
from tune.report.charts import Answer
from tune.report.charts._shared import rounded, share, with_values
from tune.report.charts.progress import steps
from tune.report.data import SweepData

Budget = Literal["images", "cost", "trials"]
BUDGETS: dict[Budget, str] = {"images": "images", "cost": "worker-seconds", "trials": "trials"}
RESAMPLES = 2000
_FEWEST = 2
_CLEARLY = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
    """A sweep as far as the budget went."""

    name: str
    trials: int
    """That began within the budget."""
    best: float | None
    """The best value within the budget."""
    expected: float | None
    """The expected best of `draws` trials."""
    low: float | None
    """Of the expected best, as `high` the end of the interval of 95 %."""
    high: float | None
    ahead: float | None
    """The share of resamples in which it has the best value of all; None with fewer than two trials."""
    best_of_all: float | None
    """Without a budget."""
    confirmed: float | None
    """The best value of all that was measured again."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Sweeps side by side."""

    budget: Budget
    amount: float
    """Of the budget: what the sweep that spent least has spent."""
    draws: int
    """Trials of the expected best: those of the sweep with the fewest within the budget."""
    metric: str
    noise: float | None
    sweeps: list[Compared]


def compare(sweeps: Sequence[SweepData], budget: Budget = "images", *, seed: int = 0) -> Comparison:
    """Compare sweeps on what the one that spent least has spent.

    Raises: ConfigError when they minimize different metrics, or one has no value.
    """
    metrics = {sweep.metric for sweep in sweeps}
    require(
        len(metrics) == 1,
        f"sweeps are compared by one metric, and these minimize {', '.join(sorted(metrics))}; compare others",
    )
    for sweep in sweeps:
        require(
            bool(sweep.ranked_rows),
            f"{sweep.location} has no trial with a value yet; wait for its first tick",
        )
    amount = min(_spent(sweep, budget) for sweep in sweeps)
    values = [_values_within(sweep, budget, amount) for sweep in sweeps]
    draws = min(map(len, values))
    generator = np.random.default_rng(seed)
    # a trial without a value within the budget is as bad as the worst one that has any
    worst = max((value for of in values for value in of if np.isfinite(value)), default=np.nan)
    filled = [np.where(np.isfinite(of), of, worst) for of in values]
    resampled = [_resampled(of, draws, generator) for of in filled]
    found = []
    for place, (sweep, of, again) in enumerate(zip(sweeps, filled, resampled, strict=True)):
        is_enough = len(of) >= _FEWEST
        low, high = np.quantile(again, [0.025, 0.975]) if is_enough else (np.nan, np.nan)
        lowest = np.min(resampled, axis=0)
        ties = np.sum([other == lowest for other in resampled], axis=0)
        ahead = np.where(again == lowest, 1 / np.maximum(ties, 1), 0.0).mean()
        confirmed = best_of(
            (state.value, state) for row in sweep.rows for state in row.trial.confirmed.values()
        )
        found.append(
            Compared(
                name=sweep.name,
                trials=len(of),
                best=_finite(min(values[place], default=np.nan)),
                expected=_finite(expected_best(of, draws)),
                low=_finite(low),
                high=_finite(high),
                ahead=float(ahead) if is_enough else None,
                best_of_all=min(row.best for row in sweep.ranked_rows if row.best is not None),
                confirmed=confirmed.value if confirmed else None,
            )
        )
    return Comparison(
        budget=budget,
        amount=amount,
        draws=draws,
        metric=sweeps[0].metric,
        noise=sweeps[0].noise,
        sweeps=found,
    )


def expected_best(values: np.ndarray, draws: int) -> float:
    """The expected minimum of `draws` values drawn with replacement."""
    return float(np.sort(values) @ _weights(len(values), draws)) if len(values) else float("nan")


def _weights(count: int, draws: int) -> np.ndarray:
    """The chance that each of `count` sorted values is the smallest of those drawn."""
    at_least = (np.arange(count, -1, -1) / count) ** draws
    weights: np.ndarray = at_least[:-1] - at_least[1:]
    return weights


def _resampled(values: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """The expected best of resamples of the values: (RESAMPLES,)."""
    if not len(values):
        return np.full(RESAMPLES, np.nan)
    chosen = np.sort(values[generator.integers(len(values), size=(RESAMPLES, len(values)))], axis=1)
    found: np.ndarray = chosen @ _weights(len(values), draws)
    return found


def _spent(sweep: SweepData, budget: Budget) -> float:
    _, end = steps(sweep)
    assert end is not None
    return float({"images": end.images, "cost": end.worker_s, "trials": end.trials}[budget])


def _values_within(sweep: SweepData, budget: Budget, amount: float) -> np.ndarray:
    """The best value of each trial that began before the budget was spent, infinite without one."""
    spent = 0.0
    best: dict[int, float] = {}
    before: dict[int, int] = {}
    ticks = [tick for trial in sweep.trials.values() for _, tick in trial.ticks]
    for tick in sorted(ticks, key=lambda tick: tick.time):
        is_new = tick.number not in best
        if budget == "trials":
            if is_new and len(best) >= amount:
                continue
        else:
            images = max(0, tick.images_seen - before.get(tick.number, 0))
            spent += images if budget == "images" else sweep.seconds(tick.metrics) * sweep.workers
            if spent > amount * (1 + 1e-9):
                break
        before[tick.number] = tick.images_seen
        value = tick.metrics.get(sweep.metric, float("inf"))
        best[tick.number] = min(value, best.get(tick.number, float("inf")))
    return np.array(list(best.values()), dtype=float)


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def shown_amount(comparison: Comparison) -> str:
    """The budget in words."""
    if comparison.budget == "cost":
        return f"{duration(comparison.amount)} of worker time"
    return counted(round(comparison.amount), comparison.budget.removesuffix("s"))


def interval(found: Compared) -> str:
    """`0.012 (0.011 to 0.014)`."""
    if found.expected is None:
        return ""
    ends = (
        f" ({found.low:.4g} to {found.high:.4g})" if found.low is not None and found.high is not None else ""
    )
    return f"{found.expected:.4g}{ends}"


def method(comparison: Comparison) -> str:
    """How the numbers came about, in two sentences."""
    return (
        f"Expected best of {counted(comparison.draws, 'trial')} drawn from each sweep (Dodge et al. 2019), "
        f"with 95 % bootstrap intervals over {RESAMPLES:,} resamples of the trials (Efron and Tibshirani "
        '1993); "ahead in" is the share of resamples in which a sweep has the best value of all. Both treat '
        "trials as independent, which those of a learning sampler are not; each sweep is one run of its "
        "search."
    )


def comparison_page(sweeps: Sequence[SweepData]) -> dict[str, Any]:
    """What the template needs: the comparisons, or why there is none, and a chart."""
    try:
        tables = [compare(sweeps, budget) for budget in BUDGETS]
    except ValueError as error:
        return {"missing": f"{error}."[:1].upper() + f"{error}."[1:], "tables": [], "answer": None}
    data = [sweep.config.gan.data for sweep in sweeps]
    sources = {
        (each.source, each.resolution, each.fit, each.pad_colour, each.crops, each.flip) for each in data
    }
    warning = (
        "These sweeps were trained on different data, resolutions or squares of pictures, so their values "
        "do not compare."
        if len(sources) > 1
        else ""
    )
    return {"missing": "", "warning": warning, "tables": tables, "answer": _chart(sweeps, tables[0])}


def _chart(sweeps: Sequence[SweepData], by_images: Comparison) -> Answer:
    figures = {
        "over images": _figure(sweeps, "images of all trials", "images", by_images.amount),
        "over cost": _figure(sweeps, "worker-seconds of all trials", "worker_s", None),
        "over trials": _figure(sweeps, "trials begun", "trials", None),
    }
    best = min(
        (each for each in by_images.sweeps if each.expected is not None),
        key=lambda each: each.expected or 0.0,
    )
    text = f"On {shown_amount(by_images)}, {best.name} is ahead: {by_images.metric} {interval(best)}."
    if best.ahead is not None:
        text += f" It is ahead in {share(best.ahead, 1)} of the resamples"
        text += "." if best.ahead >= _CLEARLY else f", fewer than {share(_CLEARLY, 1)}: that may be chance."
    return Answer(text=text, figures=figures, height=380)


def _figure(sweeps: Sequence[SweepData], title: str, field: str, amount: float | None) -> go.Figure:
    figure = go.Figure()
    dashes = ("solid", "dash", "dot", "dashdot")
    every: list[float] = []
    for place, sweep in enumerate(sweeps):
        found, end = steps(sweep)
        points = [*found, end] if end else found
        every += [point.value for point in points]
        figure.add_trace(
            go.Scatter(
                x=[round(getattr(point, field), 1) for point in points],
                y=[rounded(point.value) for point in points],
                mode="lines",
                name=sweep.name,
                showlegend=True,
                line={
                    "shape": "hv",
                    "width": 2,
                    "color": SERIES[place % len(SERIES)],
                    "dash": dashes[place % len(dashes)],
                },
            )
        )
    if amount is not None:
        figure.add_vline(
            amount, line={"color": SOFT, "dash": "dot", "width": 1}, annotation={"text": "equal budget"}
        )
    with_values(figure, sweeps[0], every)
    return figure.update_layout(xaxis={"title": {"text": title}, "rangemode": "tozero"})
