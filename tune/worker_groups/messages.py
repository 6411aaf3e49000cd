"""What the pool, the gangs and the trials say to each other: commands, outcomes, and what goes wrong."""

import dataclasses
from typing import Any, Literal


class GangLostError(Exception):
    """A gang died with the trial's state; the trial must go on from its last checkpoint."""


class NoGangLeftError(Exception):
    """Every gang is lost for good: the sweep cannot go on."""


class TrialFailedError(Exception):
    """The trial's own fault, by its reason: a retry would fail the same way."""


@dataclasses.dataclass(frozen=True)
class Command:
    """What every rank of a gang does next.

    begin: build the run of `config`, from `state` if there is one; tick: train and measure one tick;
    dump: give the state; stop: return from the worker loop.
    """

    kind: Literal["begin", "tick", "dump", "stop"]
    config: dict[str, Any] | None = None
    state: Any = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a rank fared with its last command.

    `error` is the trial's fault; with `fatal` the rank dies of it: its peers may wait in a collective.
    With `is_peer_lost` it is nobody's fault here: another rank is gone, and the gang with it.
    """

    value: Any = None
    error: str | None = None
    fatal: bool = False
    is_peer_lost: bool = False


@dataclasses.dataclass(frozen=True)
class GangStatus:
    """A gang as the driver sees it: starting, idle, busy, or lost with its reason."""

    name: str
    state: Literal["starting", "idle", "busy", "lost"]
    restarts: int
    reason: str = ""
