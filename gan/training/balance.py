"""Who trains in a step, decided from numbers that all ranks share; not the training itself.

Pure functions: the step's number and the numbers last measured go in, two booleans come out.
"""

import dataclasses

from gan.config import BalanceConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """Means over the global batch of the step before, the same on every rank."""

    discriminator_loss: float
    accuracy_real: float
    """Share of real images that the discriminator calls real, 0 to 1."""
    accuracy_fake: float
    """Share of generated images that the discriminator calls generated, 0 to 1."""


def discriminator_trains(config: BalanceConfig, *, step: int, measured: Measured | None) -> bool:
    """Whether the discriminator is updated in step `step` (from 0); `measured` is None before the first."""
    if config.policy == "steps":
        return _takes_turn(config.discriminator_steps, config.generator_steps, step)
    if measured is None:
        return True
    if config.policy == "loss":
        return not measured.discriminator_loss < config.loss_threshold
    if config.policy == "accuracy":
        return not (measured.accuracy_real + measured.accuracy_fake) / 2 > config.accuracy_threshold
    return True


def generator_trains(config: BalanceConfig, *, step: int) -> bool:
    """Whether the generator is updated in step `step` (from 0); only a fixed ratio ever rests it."""
    if config.policy == "steps":
        return _takes_turn(config.generator_steps, config.discriminator_steps, step)
    return True


def reads_measurements(config: BalanceConfig) -> bool:
    """Whether the policy needs the numbers of the step before."""
    return config.policy in ("loss", "accuracy")


def _takes_turn(own: int, other: int, step: int) -> bool:
    """The player with the larger share trains every step; the other in own/other of them, evenly spread.

    5:1 trains the generator in the last of every five steps.
    """
    return own >= other or (step + 1) * own // other > step * own // other
