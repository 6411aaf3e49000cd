"""Messages between the pool, the worker groups and the trials: commands, results, and errors."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


class WorkerGroupLostError(Exception):
    """A worker group died with the trial's state; the trial must continue from its last checkpoint."""


class MemoryShortError(WorkerGroupLostError):
    """Memory was short on one of several ranks; their group restarts, since the others wait for that rank."""


class NoWorkerGroupLeftError(Exception):
    """Every worker group is lost for good: the sweep cannot continue."""


class TrialFailedError(Exception):
    """The trial failed by its own fault: a retry would fail the same way."""


class TrialDivergedError(TrialFailedError):
    """A loss, a weight or an image of the trial is not finite."""


@dataclasses.dataclass(frozen=True)
class StoredState:
    """A state in storage: the file `name` below `folder`, a path or URL that all nodes reach."""

    folder: str
    name: str


@dataclasses.dataclass(frozen=True)
class TickAnswer:
    """What a worker answers to the command `tick`."""

    metrics: dict[str, float]
    """The numbers of the tick."""
    place: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Where it was trained: `GROUP_KEY` and `NODE_KEY` of `tune.trial_keys`."""
    grid: bytes | None = None
    """A small grid of samples after it, a WebP file's content; None where none was asked for."""


@dataclasses.dataclass(frozen=True)
class WorkerCommand:
    """What every rank of a worker group does next.

    begin: build the run of `config`, from `state` if there is one; tick: train and measure one tick;
    save: write the state to `target`; dump: return the state; confirm: measure the run again
    (`GanRun.confirm`); stop: return from the worker loop.
    """

    kind: Literal["begin", "tick", "save", "dump", "confirm", "stop"]
    number: int = 0
    """Which command of its group it is; a result names the command that it answers."""
    config: Any = None
    """The run's GanConfig; the pool only passes it on."""
    state: Any = None
    """The state itself, or a `StoredState`."""
    target: StoredState | None = None


@dataclasses.dataclass(frozen=True)
class CommandResult:
    """The result of a rank's last command, the one with this number.

    `error` is the trial's fault; with `fatal` the rank exits, because its peers may wait in a collective.
    With `is_peer_lost` neither the trial nor this rank is at fault: another rank died, and the group with it.
    With `is_memory_short` the trial may be at fault, or a neighbour that had taken the memory for a moment.
    With `is_divergence` the trial's numbers are not finite.
    """

    number: int
    value: Any = None
    error: str | None = None
    fatal: bool = False
    is_peer_lost: bool = False
    is_memory_short: bool = False
    is_divergence: bool = False

    def to_error(self, reason: str) -> Exception:
        """What the trial gets to know of a fatal result; reason: what happens to the group."""
        if self.is_memory_short:
            return MemoryShortError(self.error)
        return WorkerGroupLostError(reason) if self.is_peer_lost else self.fault()

    def fault(self) -> TrialFailedError:
        """What the trial gets to know of its own fault."""
        return TrialDivergedError(self.error) if self.is_divergence else TrialFailedError(self.error)


@dataclasses.dataclass(frozen=True)
class WorkerGroupStatus:
    """A worker group as the driver sees it; `reason` says why it is lost."""

    name: str
    state: Literal["starting", "idle", "busy", "lost"]
    restarts: int
    reason: str = ""
