"""The pool's record of one worker group: its registered ranks, its loaded run, and whether it is busy."""

import asyncio
import dataclasses
from typing import Any, Literal

from tune.worker_groups.messages import CommandResult, WorkerCommand, WorkerGroupStatus


@dataclasses.dataclass(frozen=True)
class PendingCommand:
    """The command that a group executes now: who waits for its answer, and which ranks have answered."""

    number: int
    answer: asyncio.Future[Any]
    results: dict[int, CommandResult] = dataclasses.field(default_factory=dict)


class WorkerGroup:
    """State of one worker group; `incarnation` identifies its current workers, which a restart replaces."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.incarnation = ""
        self.world_size = 0
        self.mailboxes: dict[int, asyncio.Queue[WorkerCommand]] = {}
        self.loaded_run: str | None = None
        self.is_busy = False
        self.num_commands = 0
        self.pending: PendingCommand | None = None
        self.restarts = -1
        self.lost_reason: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether all ranks have registered."""
        return self.world_size > 0 and len(self.mailboxes) == self.world_size and self.lost_reason is None

    @property
    def is_idle(self) -> bool:
        """Whether it can be lent."""
        return self.is_ready and not self.is_busy

    def status(self) -> WorkerGroupStatus:
        """Its status for the driver."""
        if self.lost_reason is not None:
            return WorkerGroupStatus(self.name, "lost", max(self.restarts, 0), self.lost_reason)
        state: Literal["starting", "idle", "busy"] = "starting"
        if self.is_ready:
            state = "busy" if self.is_busy else "idle"
        return WorkerGroupStatus(self.name, state, max(self.restarts, 0))
