"""Which gang is idle, whose state it holds, and who may tick next: asyncio bookkeeping that knows no Ray.

`gangs.py` runs one `Pool` as an actor; tests run it as it is. States and commands pass through opaquely.
"""

import asyncio
import collections
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

from tune.worker_groups.group import Gang
from tune.worker_groups.messages import (
    Command,
    GangLostError,
    GangStatus,
    NoGangLeftError,
    Outcome,
    TrialFailedError,
)


class Pool:
    """Lends gangs to trials, one tick at a time.

    A trial is known by its lease. Its state is in exactly one place: in the gang whose `resident` it is, in
    `_states`, nowhere yet (a fresh trial), or lost. All decisions are taken between two awaits of one event
    loop, which is the one lock that they need.
    """

    def __init__(self, gang_names: list[str]) -> None:
        self._gangs = {name: Gang(name) for name in gang_names}
        # least recently lent first, so that the state which waited longest is the one moved out
        self._order = collections.deque(self._gangs.values())
        self._waiting: collections.deque[tuple[str, asyncio.Future[Gang]]] = collections.deque()
        self._states: dict[str, Any] = {}
        self._lost: dict[str, str] = {}
        self._lease_of: dict[str, str] = {}
        self._end = asyncio.Event()

    # --- the workers' side

    async def exchange(
        self, gang_name: str, incarnation: str, rank: int, world_size: int, outcome: Outcome | None = None
    ) -> Command:
        """Hand in the outcome of the last command (None: just registering) and wait for the next one."""
        gang = self._gangs[gang_name]
        if incarnation != gang.incarnation:
            if outcome is not None or gang.lost_reason is not None or self._end.is_set():
                return Command("stop")
            self._mourn(gang, f"{gang.name} was restarted")
            gang.incarnation, gang.world_size, gang.restarts = incarnation, world_size, gang.restarts + 1
        if outcome is not None:
            self._settle(gang, rank, outcome)
            if outcome.fatal:
                return Command("stop")
        mailbox = gang.mailboxes.setdefault(rank, asyncio.Queue())
        self._match()
        return await mailbox.get()

    def _settle(self, gang: Gang, rank: int, outcome: Outcome) -> None:
        if outcome.fatal:
            reason = f"{gang.name} restarts"
            error = GangLostError(reason) if outcome.is_peer_lost else TrialFailedError(outcome.error)
            self._mourn(gang, reason, error=error)
        elif gang.pending is not None and not gang.pending.done():
            if outcome.error is not None:
                gang.pending.set_exception(TrialFailedError(outcome.error))
            elif rank == 0:  # rank 0 speaks for all; the others only have news when they fail
                gang.pending.set_result(outcome.value)

    def _mourn(self, gang: Gang, reason: str, error: Exception | None = None) -> None:
        """Forget a dead incarnation: whoever waits for it or left a state in it is told."""
        self._evict(gang, lost=reason)
        gang.incarnation, gang.world_size = "", 0
        gang.mailboxes = {}
        if gang.pending is not None and not gang.pending.done():
            gang.pending.set_exception(error or GangLostError(reason))

    # --- the trials' side

    async def open(self, owner: str) -> str:
        """A new lease, the name under which a trial's state is kept; the owner's earlier one is forgotten.

        A trial's actor that was killed never says goodbye: without this, its state would be kept for ever.
        """
        if owner in self._lease_of:
            await self.forget(self._lease_of[owner])
        lease = self._lease_of[owner] = uuid.uuid4().hex
        return lease

    async def tick(self, lease: str, config: dict[str, Any]) -> Any:
        """Train the lease's run for one tick in whichever gang is best and return its numbers.

        Raises: GangLostError when its state died, TrialFailedError for the trial's own fault,
        NoGangLeftError when no gang will ever answer.
        """
        while True:
            async with self._borrowed(lease) as gang:
                if gang.resident != lease:
                    try:
                        await self._move_in(gang, lease, config)
                    except GangLostError:
                        continue  # the state never left the pool: another gang takes it
                try:
                    return await self._ask(gang, Command("tick"))
                except TrialFailedError:
                    self._evict(gang, lost="its trial has failed")
                    raise

    async def dump(self, lease: str) -> Any:
        """The lease's state, wherever it is."""
        if lease in self._states:
            return self._states[lease]
        async with self._borrowed(lease) as gang:
            if gang.resident == lease:
                return await self._ask(gang, Command("dump"))
        if lease not in self._states:
            raise TrialFailedError("there is no state to save before the first tick")
        return self._states[lease]

    async def load(self, lease: str, state: Any) -> None:
        """Make `state` the lease's state; its next tick starts from it."""
        await self.forget(lease)
        self._states[lease] = state

    async def forget(self, lease: str) -> None:
        """Drop the lease's state; its gang is free for others without a switch."""
        self._states.pop(lease, None)
        self._lost.pop(lease, None)
        for gang in self._gangs.values():
            if gang.resident == lease:
                gang.resident = None
        self._match()

    async def _move_in(self, gang: Gang, lease: str, config: dict[str, Any]) -> None:
        if gang.resident is not None:
            evicted = gang.resident
            try:
                state = await self._ask(gang, Command("dump"))
            except TrialFailedError as error:  # no fault of the trial that moves in
                self._evict(gang, lost=str(error))
            else:
                if gang.resident == evicted:  # it was not forgotten meanwhile
                    self._states[evicted] = state
                    self._evict(gang)
        await self._ask(gang, Command("begin", config=config, state=self._states.get(lease)))
        self._states.pop(lease, None)
        gang.resident = lease

    def _evict(self, gang: Gang, lost: str | None = None) -> None:
        if gang.resident is not None and lost is not None:
            self._lost[gang.resident] = lost
        gang.resident = None

    async def _ask(self, gang: Gang, command: Command) -> Any:
        if not gang.is_ready:
            raise GangLostError(f"{gang.name} is gone")
        gang.pending = asyncio.get_running_loop().create_future()
        for mailbox in gang.mailboxes.values():
            mailbox.put_nowait(command)
        return await gang.pending

    @contextlib.asynccontextmanager
    async def _borrowed(self, lease: str) -> AsyncIterator[Gang]:
        self._refuse_the_hopeless(lease)
        request: asyncio.Future[Gang] = asyncio.get_running_loop().create_future()
        self._waiting.append((lease, request))
        self._match()
        gang = await request
        try:
            self._refuse_the_hopeless(lease)
            yield gang
        finally:
            gang.is_busy = False
            self._match()

    def _refuse_the_hopeless(self, lease: str) -> None:
        reasons = [gang.lost_reason for gang in self._gangs.values() if gang.lost_reason is not None]
        if len(reasons) == len(self._gangs):
            raise NoGangLeftError(f"no gang is left: {reasons[-1]}")
        if lease in self._lost:
            raise GangLostError(self._lost[lease])

    def _match(self) -> None:
        """Lend idle gangs to those who wait, first come first served."""
        for lease, request in list(self._waiting):
            gang = self._choose(lease)
            if gang is None:
                continue
            self._waiting.remove((lease, request))
            if request.cancelled():
                continue
            gang.is_busy = True
            self._order.remove(gang)
            self._order.append(gang)
            request.set_result(gang)

    def _choose(self, lease: str) -> Gang | None:
        """The gang that holds the state; else an empty one; else the one lent longest ago."""
        home = next((gang for gang in self._gangs.values() if gang.resident == lease), None)
        if home is not None:
            return home if home.is_idle else None  # busy: it is moving our state out just now
        idle = [gang for gang in self._order if gang.is_idle]
        empty = [gang for gang in idle if gang.resident is None]
        return next(iter(empty + idle), None)

    # --- the driver's side

    async def add(self, gang_name: str) -> None:
        """One more gang, whose workers are going to register."""
        self._gangs[gang_name] = gang = Gang(gang_name)
        self._order.append(gang)

    async def mourn(self, gang_name: str) -> None:
        """The gang's workers died; new ones may come, but not before there is room for them."""
        gang = self._gangs[gang_name]
        self._mourn(gang, f"{gang.name} lost a worker")

    async def lose(self, gang_name: str, reason: str) -> None:
        """Give a gang up for good; when it was the last, everyone who waits is told."""
        gang = self._gangs[gang_name]
        gang.lost_reason = reason
        self._mourn(gang, reason)
        if all(other.lost_reason is not None for other in self._gangs.values()):
            while self._waiting:
                _, request = self._waiting.popleft()
                if not request.done():
                    request.set_exception(NoGangLeftError(f"no gang is left: {reason}"))

    async def status(self) -> list[GangStatus]:
        """Every gang as it is now."""
        return [gang.status() for gang in self._gangs.values()]

    async def ended(self) -> None:
        """Wait until `stop` is called: whoever does also hears at once when the pool's process dies."""
        await self._end.wait()

    async def stop(self) -> None:
        """Send every worker home, also those that are still to come."""
        self._end.set()
        for gang in self._gangs.values():
            for mailbox in gang.mailboxes.values():
                mailbox.put_nowait(Command("stop"))
