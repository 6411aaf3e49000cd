"""tree-structured Parzen estimator."""

import warnings

import optuna


def build(*, seed: int, num_random: int) -> optuna.samplers.BaseSampler:
    """Multivariate tree-structured Parzen estimator (Falkner et al. 2018).

    Settings that occur together form a group with a model of its own, so that conditional settings are
    modelled. A running trial counts as a bad one, so that trials that run at the same time differ.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group, since Optuna 2.8
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=num_random, multivariate=True, group=True, constant_liar=True
        )


SAMPLER = build
