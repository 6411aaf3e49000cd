"""Events that the workers of a run send to its driver; light to import, since a queue carries them."""

import dataclasses
from typing import Literal

from gan.training.health import Verdict

RunOutcome = Literal["finished", "stopped", "diverged", "failed"]


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
    """A tick is finished and saved."""

    row: dict[str, float]
    is_best: bool
    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class Ended:
    """The last event of a run; `reason` is one line, empty when it finished."""

    outcome: RunOutcome
    reason: str
    verdict: Verdict | None = None
    """For which the run stopped; None unless it did."""


RunEvent = Begun | Stepped | Ticked | Ended
