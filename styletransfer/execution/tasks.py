"""The tasks of a batch: pictures to prepare and pairs to draw, each with what came of earlier tries; pure."""

import dataclasses
from typing import Any

from styletransfer.planning.pairs import Kind, Need, Pair

MOST_DEATHS = 2
MOST_MACHINES = 6  # machines are lost for other reasons, but not so often at the same picture


@dataclasses.dataclass(eq=False)
class Input:
    """A picture that pairs need."""

    need: Need
    variant: str
    """One of those that can use it."""
    handle: Any = None
    """What stands for it, prepared; opaque here."""
    size_px: tuple[int, int] = (0, 0)
    error: str | None = None
    is_asked: bool = False
    deaths: int = 0
    machines_lost: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether a pair can be drawn from it."""
        return self.handle is not None


@dataclasses.dataclass(eq=False)
class Waiting:
    """A pair on its way."""

    pair: Pair
    inputs: dict[Kind, Input]
    deaths: int = 0
    losses: int = 0
    machines_lost: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether all that it needs is prepared."""
        return all(each.is_ready for each in self.inputs.values())

    def error(self) -> str | None:
        """Why it can never be drawn."""
        return next((each.error for each in self.inputs.values() if each.error is not None), None)


@dataclasses.dataclass(frozen=True, eq=False)
class Prepare:
    """Prepare a picture."""

    input: Input


@dataclasses.dataclass(frozen=True, eq=False)
class Draw:
    """Draw pairs of one size and variant together."""

    pairs: tuple[Waiting, ...]


Task = Prepare | Draw


def deadly(at: Input | Waiting) -> str | None:
    """What died of it so often that it is tried no more."""
    if at.deaths >= MOST_DEATHS:
        return "the worker died twice"
    if at.machines_lost >= MOST_MACHINES:
        return f"{MOST_MACHINES} machines were lost"
    return None
