"""A sweep's trials as an Optuna study in memory, for Optuna's own analyses; the sweep's is not touched."""

from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tune.records.trial_records import STUDY_DIRECTION
from tune.report.data import SweepData
from tune.space.domains import Choice, Domain, Float, Int


def study_of(sweep: SweepData) -> optuna.Study:
    """The trials with a value, from best to worst, as completed trials with their best value.

    A trial that was pruned is among them: its best value is known, and settings that are pruned are bad ones.
    The study's own journal is not read, so that a sweep may go on, and be in a database or an object store.
    """
    rows = sweep.ranked_rows
    values: dict[str, list[Any]] = {path: [] for path in sweep.space}
    for row in rows:
        for path, value in row.values.items():
            values[path].append(value)
    found = {path: _distribution(sweep.space[path], seen) for path, seen in values.items() if seen}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=STUDY_DIRECTION)
    study.add_trials(
        optuna.trial.create_trial(
            params={path: _param(sweep.space[path], value) for path, value in row.values.items()},
            distributions={path: found[path] for path in row.values},
            value=row.best,
        )
        for row in rows
    )
    return study


def _param(domain: Domain, value: Any) -> Any:
    return int(value) if isinstance(domain, Int) else value


def _distribution(domain: Domain, seen: list[Any]) -> BaseDistribution:
    """The domain, wide enough for the values: it may have been narrowed since."""
    if isinstance(domain, Choice):
        return CategoricalDistribution(tuple(dict.fromkeys([*domain.values, *seen])))
    low, high = min(domain.low, *seen), max(domain.high, *seen)
    if isinstance(domain, Float):
        return FloatDistribution(low, high, log=domain.log and low > 0)
    return IntDistribution(int(low), int(high), log=domain.log and low > 0)
