"""The samplers that propose a trial's settings, by name; not the space that they propose from."""

import warnings

import numpy as np
import optuna

from tune.config import Search


def build_sampler(
    name: Search, *, seed: int, num_trials: int, num_asked: int = 0
) -> optuna.samplers.BaseSampler:
    """An Optuna sampler: `tpe`, `gp` or `random`.

    tpe: multivariate tree-structured Parzen estimator (Falkner et al. 2018) in groups of settings that occur
    together, so that conditional settings are modelled; a running trial counts as a bad one, which spreads
    trials that run at the same time. gp: Gaussian process with a noisy objective; it learns from completed
    trials alone, and draws conditional settings at random. `num_asked`: trials that the study has already, so
    that a resumed sweep does not draw the same numbers again.
    """
    sampler_seed = int(np.random.SeedSequence([seed, num_asked]).generate_state(1)[0])
    # a quarter of a small sweep at random, its first trial included; Optuna's default of 10 is for large ones
    num_random = min(10, max(4, num_trials // 4))
    if name == "random":
        return optuna.samplers.RandomSampler(seed=sampler_seed)
    if name == "gp":
        return optuna.samplers.GPSampler(
            seed=sampler_seed,
            n_startup_trials=num_random,
            deterministic_objective=False,
            warn_independent_sampling=False,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group, since Optuna 2.8
        return optuna.samplers.TPESampler(
            seed=sampler_seed,
            n_startup_trials=num_random,
            multivariate=True,
            group=True,
            constant_liar=True,
        )
