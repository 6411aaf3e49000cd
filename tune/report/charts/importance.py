"""Which settings separate the best trials from the others (PED-ANOVA), and what chance alone would say."""

import functools
import warnings

import numpy as np
import optuna
import plotly.graph_objects as go

from common.page.figures import SOFT
from tune.report.charts import Answer, Chart
from tune.report.charts._shared import GREY, HOVER, LEAST_TRIALS, share
from tune.report.data import SweepData
from tune.report.study import study_of

_SHUFFLES = 100
_TOP = 0.1
_FEWEST_TOP = 4


def importances(sweep: SweepData, *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Share of each setting, 0 to 1, the largest first, and the share that it seldom exceeds by chance.

    PED-ANOVA (Watanabe et al. 2023) as in Optuna: how differently a setting is distributed among the best
    trials and among all. For the share by chance, the values are exchanged among the trials at random, 100
    times; it is the 95th percentile.

    Empty where no setting separates anything, such as with constant values.
    """
    study = study_of(sweep)
    count = len(study.trials)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=max(_TOP, _FEWEST_TOP / count))
    values = [trial.value for trial in study.trials]
    if len(set(values)) < 2:
        return {}
    generator = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how few trials have a conditional setting
        found = evaluator.evaluate(study)
        by_chance: dict[str, list[float]] = {path: [] for path in found}
        for _ in range(_SHUFFLES):
            shuffled = generator.permutation(np.array(values, dtype=float))
            again = evaluator.evaluate(study, target=functools.partial(_value_in, shuffled))
            for path, value in again.items():
                by_chance[path].append(value)
    whole = sum(found.values())
    if not whole:
        return {}
    return {
        path: (value / whole, float(np.quantile(by_chance[path], 0.95)) / whole)
        for path, value in found.items()
    }


def _value_in(values: np.ndarray, trial: optuna.trial.FrozenTrial) -> float:
    return float(values[trial.number])


def _draw(sweep: SweepData) -> Answer:
    count = len(sweep.ranked_rows)
    if count < LEAST_TRIALS:
        return Answer(
            text=f"This needs {LEAST_TRIALS} trials with a value, and there are {count}; with so few, chance "
            "alone would name a setting."
        )
    found = importances(sweep)
    if not found:
        return Answer(text="All trials have the same value, so no setting separates the good ones.")
    names = [sweep.setting(path) for path in found]
    shares = [value for value, _ in found.values()]
    chance = [min(1.0, value) for _, value in found.values()]
    said = [
        f"{name}: {share(value, 1)}, by chance up to {share(low, 1)}"
        for name, value, low in zip(names, shares, chance, strict=True)
    ]
    figure = go.Figure(
        [
            go.Bar(
                x=shares,
                y=names,
                orientation="h",
                name="share",
                customdata=said,
                hovertemplate=HOVER,
                marker={"color": ["var(--blue)" if value > low else GREY for value, low in found.values()]},
                width=0.55,
            ),
            go.Scatter(
                x=chance,
                y=names,
                mode="markers",
                name="what chance alone seldom exceeds",
                customdata=said,
                hovertemplate=HOVER,
                marker={"symbol": "line-ns-open", "size": 18, "color": SOFT},
            ),
        ],
        layout={
            "yaxis": {
                "autorange": "reversed",
                "type": "category",
                "tickfont": {"size": 13},
                "showgrid": False,
            },
            "xaxis": {"tickformat": ".0%", "rangemode": "tozero"},
        },
    )
    return Answer(
        text=_said(found, names, count),
        figures={"importance": figure},
        height=90 + 34 * len(found),
        note="PED-ANOVA (Watanabe et al. 2023) by Optuna, on the best value of each trial, pruned ones "
        "included. The marks are the 95th percentile after exchanging the values among the trials at random. "
        "Grey bars stay below them. It sees one setting at a time, not how they act together.",
    )


def _said(found: dict[str, tuple[float, float]], names: list[str], count: int) -> str:
    best = max(_FEWEST_TOP, round(_TOP * count))
    clear = [
        (name, value) for name, (value, chance) in zip(names, found.values(), strict=True) if value > chance
    ]
    if not clear:
        return f"None, clearly: what separates the best {best} of {count} trials may be chance."
    name, value = clear[0]
    text = f"The {name} explains {share(value, 1)} of what separates the best {best} of {count} trials"
    others = [f"the {name} {share(value, 1)}" for name, value in clear[1:]]
    if others:
        text += ", " + ", ".join(others)
    rest = len(names) - len(clear)
    return (
        f"{text}. {f'The other {rest} stay' if rest > 1 else 'The other stays'} within chance."
        if rest
        else f"{text}."
    )


CHART = Chart(
    place=30,
    word="Importance",
    title="Which settings mattered",
    question="What do the best trials have that the others lack?",
    draw=_draw,
)
