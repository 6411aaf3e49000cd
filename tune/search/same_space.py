"""Checks that a resumed sweep's search space suits its earlier trials, before Optuna stumbles over it."""

from collections.abc import Iterable
from typing import cast

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import FrozenTrial

from common.errors import ConfigError
from tune.space.domains import Domain
from tune.space.space import Space


def check_same_space(space: Space, trials: Iterable[FrozenTrial]) -> None:
    """Raise `ConfigError` when a setting has a domain that Optuna cannot compare with that of the trials.

    Ranges may become wider or narrower; the values of a choice, and whether a range is logarithmic, may not
    change.
    """
    known: dict[str, BaseDistribution] = {}
    for trial in trials:
        known |= trial.distributions
    for path in known.keys() & set(space):
        try:
            check_distribution_compatibility(known[path], _distribution(space[path], path))
        except ValueError:
            raise ConfigError(
                f"the search space in sweep.json has another domain for {path} than the trials so far "
                f"({known[path]}); restore it, or start a new sweep with --space"
            ) from None


def _distribution(domain: Domain, path: str) -> BaseDistribution:
    trial = optuna.trial.FixedTrial({path: domain.extremes()[0]})
    domain.suggest(cast(optuna.Trial, trial), path)
    return trial.distributions[path]
