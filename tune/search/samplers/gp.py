"""Gaussian process, for 20 to 100 trials."""

import optuna


def build(*, seed: int, num_random: int) -> optuna.samplers.BaseSampler:
    """Gaussian process with a noisy objective.

    It learns from completed trials only, and draws conditional settings at random.
    """
    return optuna.samplers.GPSampler(
        seed=seed,
        n_startup_trials=num_random,
        deterministic_objective=False,
        warn_independent_sampling=False,
    )


SAMPLER = build
