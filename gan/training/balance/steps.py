"""a fixed ratio of --discriminator-steps to --generator-steps."""

import dataclasses

from common.errors import require
from gan.training.balance import Measured, Policy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the policy."""

    discriminator_steps: int = 1
    """For steps: the first number of the ratio discriminator to generator."""
    generator_steps: int = 1
    """For steps: the second number of the ratio discriminator to generator."""

    def __post_init__(self) -> None:
        for name, steps in (("discriminator", self.discriminator_steps), ("generator", self.generator_steps)):
            require(1 <= steps <= 100, f"--{name}-steps must lie between 1 and 100, not {steps}; try 1")


def _discriminator_trains(settings: Settings, step: int, measured: Measured | None) -> bool:
    return _takes_turn(settings.discriminator_steps, settings.generator_steps, step)


def _generator_trains(settings: Settings, step: int, measured: Measured | None) -> bool:
    return _takes_turn(settings.generator_steps, settings.discriminator_steps, step)


def _takes_turn(own: int, other: int, step: int) -> bool:
    """The player with the larger share trains every step; the other in own/other of them, evenly spread.

    5:1 trains the generator in the last of every five steps.
    """
    return own >= other or (step + 1) * own // other > step * own // other


POLICY = Policy(discriminator_trains=_discriminator_trains, generator_trains=_generator_trains)
