"""What a training run tells its driver while it goes on; light to import, since a queue carries it."""

import dataclasses
from typing import Literal

Outcome = Literal["finished", "diverged", "failed"]


@dataclasses.dataclass(frozen=True)
class Begun:
    """Workers are ready to train, at the start or after a restart."""

    images_seen: int


@dataclasses.dataclass(frozen=True)
class Stepped:
    """The latest numbers within a tick."""

    images_seen: int
    images_per_s: float
    generator_loss: float
    discriminator_loss: float
    accuracy_real: float
    accuracy_fake: float


@dataclasses.dataclass(frozen=True)
class Ticked:
    """A tick is done and saved."""

    row: dict[str, float]
    is_best: bool


@dataclasses.dataclass(frozen=True)
class Ended:
    """The last event of a run; `reason` is one line, empty when it finished."""

    outcome: Outcome
    reason: str


Event = Begun | Stepped | Ticked | Ended
