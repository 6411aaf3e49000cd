"""independent random values, as a baseline."""

import optuna


def build(*, seed: int, num_random: int) -> optuna.samplers.BaseSampler:
    """Independent random values within each setting's domain."""
    return optuna.samplers.RandomSampler(seed=seed)


SAMPLER = build
