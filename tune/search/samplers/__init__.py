"""Samplers by name, one module each: how Optuna proposes the settings of the next trial.

A new sampler is a new module with a constant `SAMPLER`, a function that builds Optuna's sampler; the first
line of the module's docstring is its line in `--help`.
"""

from typing import TYPE_CHECKING, Protocol

from common.registry import Registry

if TYPE_CHECKING:
    import optuna


class BuildSampler(Protocol):
    """Builds an Optuna sampler."""

    def __call__(self, *, seed: int, num_random: int) -> "optuna.samplers.BaseSampler":
        """num_random: trials to draw at random before the sampler learns from the finished ones."""


SAMPLERS: Registry[BuildSampler] = Registry("tune.search.samplers", "SAMPLER", what="sampler")
