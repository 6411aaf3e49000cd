"""The pool's record of one worker group: its registered ranks, its loaded run, and whether it is busy."""

import asyncio
import dataclasses
from typing import Any, Literal

from tune.worker_groups.messages import (
    CommandResult,
    WorkerCommand,
    WorkerGroupLostError,
    WorkerGroupStatus,
)


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

    async def execute(self, command: WorkerCommand) -> Any:
        """Have all ranks execute a command, and return rank 0's value.

        Raises: TrialFailedError when any rank reports an error; what `end_command` was given.
        """
        if not self.is_ready:
            raise WorkerGroupLostError(f"{self.name} is gone")
        self.num_commands += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.pending = PendingCommand(self.num_commands, answer)
        for mailbox in self.mailboxes.values():
            mailbox.put_nowait(dataclasses.replace(command, number=self.num_commands))
        return await answer

    def note(self, rank: int, result: CommandResult) -> None:
        """Note a rank's result; the command ends when all ranks have answered it.

        Ranks answer at different times. If the first one's error ended the command, the next trial would get
        the group, and the second rank's error would be taken for that trial's.
        """
        pending = self.pending
        if pending is None or result.number != pending.number:
            return  # nobody waits for it any more
        pending.results[rank] = result
        if len(pending.results) < self.world_size:
            return
        faults = [result.fault() for _, result in sorted(pending.results.items()) if result.error is not None]
        self.end_command(value=pending.results[0].value, error=faults[0] if faults else None)

    def end_command(self, *, value: Any = None, error: Exception | None = None) -> None:
        """Answer the pending command, if there is one, with a value or an error."""
        pending, self.pending = self.pending, None
        if pending is None or pending.answer.done():  # its trial may have been cancelled
            return
        if error is not None:
            pending.answer.set_exception(error)
        else:
            pending.answer.set_result(value)

    def status(self) -> WorkerGroupStatus:
        """Its status for the driver."""
        if self.lost_reason is not None:
            return WorkerGroupStatus(self.name, "lost", max(self.restarts, 0), self.lost_reason)
        state: Literal["starting", "idle", "busy"] = "starting"
        if self.is_ready:
            state = "busy" if self.is_busy else "idle"
        return WorkerGroupStatus(self.name, state, max(self.restarts, 0))
