"""The pool lends worker groups to trials and knows where each trial's state is; pure asyncio.

`launcher.py` runs one `Pool` as a Ray actor. Configurations and states are passed on unread.
"""

import asyncio
import collections
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator
from typing import Any

from tune.worker_groups.group import WorkerGroup
from tune.worker_groups.messages import (
    CommandResult,
    MemoryShortError,
    NoWorkerGroupLeftError,
    StoredState,
    TrialFailedError,
    WorkerCommand,
    WorkerGroupLostError,
    WorkerGroupStatus,
)


@dataclasses.dataclass
class PooledRun:
    """A trial's run: configuration, state while no group has it loaded, and why the state was lost."""

    config: Any
    owner: str
    state: Any = None
    lost_reason: str | None = None


class Pool:
    """Lends worker groups to trials, one tick at a time.

    A trial uses a run by its id. The run's state is in exactly one place: in the group whose `loaded_run` it
    is, in its `PooledRun`, nowhere yet (a fresh trial), or lost. All decisions are made between two awaits of
    one event loop, which serves as the only lock.
    """

    def __init__(self, group_names: list[str]) -> None:
        self._groups = {name: WorkerGroup(name) for name in group_names}
        # least recently lent first, so that the run which waited longest is the one that is unloaded
        self._order = collections.deque(self._groups.values())
        self._waiting: collections.deque[tuple[str, asyncio.Future[WorkerGroup]]] = collections.deque()
        self._runs: dict[str, PooledRun] = {}
        self._run_of_owner: dict[str, str] = {}
        self._short_of_memory: set[str] = set()  # owners, since their last save
        self._end = asyncio.Event()

    # --- called by workers

    async def report_and_wait(
        self,
        group_name: str,
        incarnation: str,
        rank: int,
        world_size: int,
        result: CommandResult | None = None,
    ) -> WorkerCommand:
        """Report the result of the last command (None: only register) and wait for the next command."""
        group = self._groups[group_name]
        if incarnation != group.incarnation:
            if result is not None or group.lost_reason is not None or self._end.is_set():
                return WorkerCommand("stop")
            self._remove_workers(group, f"{group.name} was restarted")
            group.incarnation, group.world_size = incarnation, world_size
            group.restarts += 1
        if result is not None:
            self._settle(group, rank, result)
            if result.fatal:
                return WorkerCommand("stop")
        mailbox = group.mailboxes.setdefault(rank, asyncio.Queue())
        self._match()
        return await mailbox.get()

    def _settle(self, group: WorkerGroup, rank: int, result: CommandResult) -> None:
        """Note a rank's result; a command ends when all ranks have answered it, or with a fatal result."""
        if not result.fatal:
            group.note(rank, result)
            return
        reason = f"{group.name} restarts"
        self._remove_workers(group, reason, error=result.to_error(reason))

    def _remove_workers(self, group: WorkerGroup, reason: str, error: Exception | None = None) -> None:
        """Forget the dead workers of a group; fails the tick that waits for them and loses their run."""
        self._unload(group, lost_reason=reason)
        group.incarnation, group.world_size = "", 0
        group.mailboxes = {}
        group.end_command(error=error or WorkerGroupLostError(reason))

    # --- called by trials

    async def open(self, owner: str, config: Any) -> str:
        """A new run with this configuration; returns its id. The owner's earlier run is forgotten.

        The actor of a trial may be killed before it can forget its run, which would then be kept for ever.
        """
        if owner in self._run_of_owner:
            await self.forget(self._run_of_owner[owner])
        run_id = self._run_of_owner[owner] = uuid.uuid4().hex
        self._runs[run_id] = PooledRun(config, owner)
        return run_id

    async def tick(self, run_id: str) -> Any:
        """Train the run for one tick in whichever group is best and return its `TickAnswer`.

        Raises: WorkerGroupLostError when its state was lost, TrialFailedError for the trial's own fault,
        NoWorkerGroupLeftError when no group will ever answer.
        """
        return await self._execute(run_id, WorkerCommand("tick"))

    async def confirm(self, config: Any, state: Any) -> Any:
        """Measure a saved state again, as `GanRun.confirm` does.

        Raises: as `tick`.
        """
        run_id = uuid.uuid4().hex
        self._runs[run_id] = PooledRun(config, owner=run_id, state=state)
        try:
            return await self._execute(run_id, WorkerCommand("confirm"))
        finally:
            await self.forget(run_id)

    async def _execute(self, run_id: str, command: WorkerCommand) -> Any:
        while True:
            async with self._borrowed(run_id) as group:
                if group.loaded_run != run_id:
                    try:
                        await self._load_into(group, run_id)
                    except WorkerGroupLostError as error:
                        self._excuse_once(run_id, error)
                        continue  # the state never left the pool: another group takes it
                try:
                    return await group.execute(command)
                except WorkerGroupLostError as error:
                    self._excuse_once(run_id, error)
                    raise
                except TrialFailedError:
                    self._unload(group, lost_reason="its trial has failed")
                    raise

    def _excuse_once(self, run_id: str, error: WorkerGroupLostError) -> None:
        """Raise `TrialFailedError` when memory is short for a trial again, without a save in between."""
        if isinstance(error, MemoryShortError):
            owner = self._run(run_id).owner
            if owner in self._short_of_memory:
                raise TrialFailedError(str(error))
            self._short_of_memory.add(owner)

    async def dump(self, run_id: str, target: StoredState | None = None) -> Any:
        """The run's state, wherever it is; None once a group that has it loaded has written it to `target`.

        States are large. Workers write theirs to storage, so that they do not all pass through this process.
        """
        command = WorkerCommand("dump" if target is None else "save", target=target)
        run = self._run(run_id)
        if run.state is None:
            async with self._borrowed(run_id) as group:
                if group.loaded_run == run_id:
                    state = await group.execute(command)
                    self._short_of_memory.discard(run.owner)
                    return state
        state = self._run(run_id).state
        if state is None:
            raise TrialFailedError("there is no state to save before the first tick")
        return state

    async def load(self, run_id: str, state: Any) -> None:
        """Replace the run's state; its next tick starts from it."""
        run = self._run(run_id)
        self._unload_everywhere(run_id)
        run.state, run.lost_reason = state, None

    async def forget(self, run_id: str) -> None:
        """Drop the run; a group that has it loaded can take another one without saving it."""
        self._runs.pop(run_id, None)
        self._unload_everywhere(run_id)

    def _run(self, run_id: str) -> PooledRun:
        if run_id not in self._runs:
            raise WorkerGroupLostError("another actor of the trial has started a new run")
        return self._runs[run_id]

    def _unload_everywhere(self, run_id: str) -> None:
        for group in self._groups.values():
            if group.loaded_run == run_id:
                group.loaded_run = None
        self._match()

    async def _load_into(self, group: WorkerGroup, run_id: str) -> None:
        before = group.loaded_run
        if before is not None:
            try:
                state = await group.execute(WorkerCommand("dump"))
            except (TrialFailedError, MemoryShortError) as error:
                # not the fault of the trial whose run is loaded now
                self._unload(group, lost_reason=str(error))
            else:
                if group.loaded_run == before:  # it was not forgotten meanwhile
                    self._run(before).state = state
                    self._unload(group)
        run = self._run(run_id)
        await group.execute(WorkerCommand("begin", config=run.config, state=run.state))
        if run_id in self._runs:  # it was not forgotten meanwhile
            run.state, group.loaded_run = None, run_id

    def _unload(self, group: WorkerGroup, lost_reason: str | None = None) -> None:
        if group.loaded_run is not None and lost_reason is not None:
            self._run(group.loaded_run).lost_reason = lost_reason
        group.loaded_run = None

    @contextlib.asynccontextmanager
    async def _borrowed(self, run_id: str) -> AsyncIterator[WorkerGroup]:
        self._check_can_train(run_id)
        request: asyncio.Future[WorkerGroup] = asyncio.get_running_loop().create_future()
        self._waiting.append((run_id, request))
        self._match()
        group = await request
        try:
            self._check_can_train(run_id)
            yield group
        finally:
            group.is_busy = False
            self._match()

    def _check_can_train(self, run_id: str) -> None:
        reasons = [group.lost_reason for group in self._groups.values() if group.lost_reason is not None]
        if len(reasons) == len(self._groups):
            raise NoWorkerGroupLeftError(f"no worker group is left: {reasons[-1]}")
        lost_reason = self._run(run_id).lost_reason
        if lost_reason is not None:
            raise WorkerGroupLostError(lost_reason)

    def _match(self) -> None:
        """Lend idle groups to the waiting trials, first come first served."""
        for run_id, request in list(self._waiting):
            group = self._choose(run_id)
            if group is None:
                continue
            self._waiting.remove((run_id, request))
            if request.cancelled():
                continue
            group.is_busy = True
            self._order.remove(group)
            self._order.append(group)
            request.set_result(group)

    def _choose(self, run_id: str) -> WorkerGroup | None:
        """The group that has the run loaded; else one without a run; else the one lent longest ago."""
        home = next((group for group in self._groups.values() if group.loaded_run == run_id), None)
        if home is not None:
            return home if home.is_idle else None  # busy: it is unloading this run right now
        idle = [group for group in self._order if group.is_idle]
        empty = [group for group in idle if group.loaded_run is None]
        return next(iter(empty + idle), None)

    # --- called by the driver

    async def add(self, group_name: str) -> None:
        """Add a group, whose workers are going to register."""
        self._groups[group_name] = group = WorkerGroup(group_name)
        self._order.append(group)

    async def on_group_died(self, group_name: str) -> None:
        """The group's workers died; new ones may come, but only when there is room for them."""
        group = self._groups[group_name]
        self._remove_workers(group, f"{group.name} lost a worker")

    async def lose(self, group_name: str, reason: str) -> None:
        """Give up a group for good; if it was the last one, all waiting trials fail."""
        group = self._groups[group_name]
        group.lost_reason = reason
        self._remove_workers(group, reason)
        if all(other.lost_reason is not None for other in self._groups.values()):
            while self._waiting:
                _, request = self._waiting.popleft()
                if not request.done():
                    request.set_exception(NoWorkerGroupLeftError(f"no worker group is left: {reason}"))

    async def status(self) -> list[WorkerGroupStatus]:
        """The status of every group."""
        return [group.status() for group in self._groups.values()]

    async def ended(self) -> None:
        """Wait until `stop` is called; the call also ends, with an error, when the pool's process dies."""
        await self._end.wait()

    async def stop(self) -> None:
        """Send every worker a stop, also those that are still to come."""
        self._end.set()
        for group in self._groups.values():
            for mailbox in group.mailboxes.values():
                mailbox.put_nowait(WorkerCommand("stop"))
