"""The pool under every order in which ranks answer, with failures, lost groups and forgotten runs."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune.worker_groups.messages import (
    CommandResult,
    NoWorkerGroupLeftError,
    StoredState,
    TrialFailedError,
    WorkerCommand,
    WorkerGroupLostError,
)
from tune.worker_groups.pool import Pool

TICKS = 3


class Ranks:
    """Simulated workers whose results wait until the test delivers them, in an order that it chooses.

    A trial is a name: `diverges` fails at its second tick on all ranks, `crashes` takes its group along; for
    `short` memory is short on the last rank once, for `hungry` each time; any other counts its ticks.
    """

    def __init__(self, pool: Pool, groups: int, world_size: int) -> None:
        self.pool, self.world_size = pool, world_size
        self.waiting: list[tuple[str, int, asyncio.Event]] = []
        self.were_short: set[str] = set()
        self._lives: dict[str, list[asyncio.Task[None]]] = {}
        self._incarnations = itertools.count()
        for index in range(groups):
            self.start(f"group-{index}")

    def start(self, group: str) -> None:
        incarnation = str(next(self._incarnations))
        self._lives[group] = [
            asyncio.create_task(self._work(group, incarnation, rank)) for rank in range(self.world_size)
        ]

    async def restart(self, group: str) -> None:
        for life in self._lives[group]:
            life.cancel()
        self.waiting = [entry for entry in self.waiting if entry[0] != group]
        await self.pool.on_group_died(group)
        self.start(group)

    def deliver(self, choice: int) -> None:
        self.waiting.pop(choice % len(self.waiting))[2].set()

    async def _work(self, group: str, incarnation: str, rank: int) -> None:
        trial, count, result = "", 0, None
        while True:
            command = await self.pool.report_and_wait(group, incarnation, rank, self.world_size, result)
            if command.kind == "stop":
                if result is not None and result.fatal:
                    await asyncio.sleep(0)
                    asyncio.get_running_loop().call_soon(asyncio.ensure_future, self.restart(group))
                return
            if command.kind == "begin":
                trial, count = command.config["name"], 0
                if command.state is not None:
                    owner, count = command.state
                    assert owner == trial, "a trial got another one's state"
            if command.kind == "tick" and count == 1 and self._is_short(trial):
                if rank < self.world_size - 1:
                    await asyncio.Event().wait()  # in a collective, until the group is restarted
                self.were_short.add(trial)
                result = CommandResult(
                    command.number, error=f"{trial} is out of memory", fatal=True, is_memory_short=True
                )
            else:
                result, count = _execute(command, trial, count)
            released = asyncio.Event()
            self.waiting.append((group, rank, released))
            await released.wait()

    def _is_short(self, trial: str) -> bool:
        return trial.startswith("hungry") or (trial.startswith("short") and trial not in self.were_short)


def _execute(command: WorkerCommand, trial: str, count: int) -> tuple[CommandResult, int]:
    if command.kind == "dump":
        return CommandResult(command.number, value=(trial, count)), count
    if command.kind == "begin":
        return CommandResult(command.number), count
    if trial.startswith("diverges") and count == 1:
        return CommandResult(command.number, error=f"{trial} diverged"), count
    if trial.startswith("crashes") and count == 1:
        return CommandResult(command.number, error=f"{trial} crashed", fatal=True), count
    return CommandResult(command.number, value=(trial, count + 1)), count + 1


async def life(pool: Pool, name: str, forgets: bool = False) -> str:
    """Train `TICKS` ticks as Tune does, from the last saved state after a loss; returns how it ended."""
    run_id, saved, count = await pool.open(name, {"name": name}), None, 0
    while count < TICKS:
        try:
            assert await pool.tick(run_id) == (name, count + 1), "the answer belongs to another command"
            saved = await pool.dump(run_id)
            count += 1
            assert saved == (name, count)
            if forgets:
                await pool.forget(run_id)
                return "forgotten"
        except WorkerGroupLostError:
            run_id = await pool.open(name, {"name": name})
            if saved is not None:
                await pool.load(run_id, saved)
        except NoWorkerGroupLeftError:
            return "no group"
        except TrialFailedError as error:
            own = (f"{name} diverged", f"{name} crashed", f"{name} is out of memory")
            assert str(error) in own, "blamed for another trial's failure"
            return "failed"
    return "completed"


async def settled() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario(), timeout=20))


def orders(sizes: list[int]) -> Iterator[list[int]]:
    """Every list of choices that follows `sizes`, the number of candidates at each step."""
    return map(list, itertools.product(*(range(size) for size in sizes)))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_whatever_the_order_of_answers_only_the_failing_trial_fails(world_size: int) -> None:
    async def scenario(choices: list[int]) -> tuple[str, str]:
        pool = Pool(["group-0"])
        ranks = Ranks(pool, 1, world_size)
        lives = [asyncio.create_task(life(pool, name)) for name in ("diverges", "waits")]
        remaining = iter(choices)
        while not all(task.done() for task in lives):
            await settled()
            if ranks.waiting:
                ranks.deliver(next(remaining, 0))
        return lives[0].result(), lives[1].result()

    # the choices of the two commands around the failure: its first tick passes, its second fails, then the
    # other trial begins; the order of the other commands repeats
    per_command = list(range(world_size, 0, -1))
    for order in orders(per_command * 2):
        for skipped in range(6):  # commands that are answered in order before the chosen ones
            choices = [0] * (skipped * world_size) + order
            assert run(lambda choices=choices: scenario(choices)) == ("failed", "completed")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_trial_gets_its_own_answers_through_failures_losses_and_forgotten_runs(data: Any) -> None:
    groups, world_size = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    kinds = data.draw(
        st.lists(
            st.sampled_from(["steady", "diverges", "crashes", "short", "hungry", "forgotten"]),
            min_size=1,
            max_size=5,
        )
    )
    actions = data.draw(st.lists(st.integers(0, 59), max_size=60))

    async def scenario() -> None:
        pool = Pool([f"group-{index}" for index in range(groups)])
        ranks = Ranks(pool, groups, world_size)
        names = [f"{kind}-{index}" for index, kind in enumerate(kinds)]
        lives = [asyncio.create_task(life(pool, name, "forgotten" in name)) for name in names]
        for action in itertools.chain(actions, itertools.repeat(0)):
            await settled()
            if all(task.done() for task in lives):
                break
            if action >= 55:
                await ranks.restart(f"group-{action % groups}")
            elif ranks.waiting:
                ranks.deliver(action)
        ends = [task.result() for task in lives]
        expected = {
            "steady": {"completed"},
            "diverges": {"failed"},
            "crashes": {"failed"},
            "short": {"completed"},
            "hungry": {"failed"},
            "forgotten": {"forgotten"},
        }
        assert all(end in expected[kind] for kind, end in zip(kinds, ends, strict=True))

    run(scenario)


@pytest.mark.parametrize("world_size", [2, 3])
def test_a_late_answer_to_a_command_that_nobody_waits_for_is_ignored(world_size: int) -> None:
    async def scenario() -> None:
        pool = Pool(["group-0"])
        ranks = Ranks(pool, 1, world_size)
        abandoned = asyncio.create_task(life(pool, "abandoned"))
        await settled()
        abandoned.cancel()  # its first command is being executed
        await settled()
        other = asyncio.create_task(life(pool, "other"))
        while not other.done():
            await settled()
            if ranks.waiting:
                ranks.deliver(-1)
        assert other.result() == "completed"

    run(scenario)


@pytest.mark.parametrize(("name", "end"), [("short", "completed"), ("hungry", "failed")])
def test_ranks_that_are_short_of_memory_get_one_more_try_from_the_last_save(name: str, end: str) -> None:
    async def scenario() -> tuple[str, str]:
        pool = Pool(["group-0"])
        ranks = Ranks(pool, 1, 2)
        lives = [asyncio.create_task(life(pool, each)) for each in (name, "other")]
        while not all(task.done() for task in lives):
            await settled()
            if ranks.waiting:
                ranks.deliver(0)
        return lives[0].result(), lives[1].result()

    assert run(scenario) == (end, "completed")


def test_each_save_earns_another_try_and_a_start_that_is_short_of_memory_keeps_its_state() -> None:
    async def scenario() -> None:
        pool = Pool(["group-0"])
        incarnations = itertools.count()

        async def work(kinds: list[str]) -> None:
            """One life of the group's rank, which has too little memory for the last of these commands."""
            incarnation, result = str(next(incarnations)), None
            for kind in kinds:
                command = await pool.report_and_wait("group-0", incarnation, 0, 1, result)
                assert command.kind == kind
                result = CommandResult(command.number, value=kind)
            short = CommandResult(result.number, error="short", fatal=True, is_memory_short=True)
            await pool.report_and_wait("group-0", incarnation, 0, 1, short)
            await pool.on_group_died("group-0")

        run_id = await pool.open("trial", {"name": "trial"})
        task = asyncio.create_task(work(["begin", "tick", "save", "tick"]))
        await pool.tick(run_id)
        assert await pool.dump(run_id, StoredState("sweep", "state")) == "save"
        with pytest.raises(WorkerGroupLostError):  # excused
            await pool.tick(run_id)
        await task
        run_id = await pool.open("trial", {"name": "trial"})
        await pool.load(run_id, "saved")
        task = asyncio.create_task(work(["begin"]))  # not excused: nothing was saved since
        with pytest.raises(TrialFailedError, match="short"):
            await pool.tick(run_id)
        await task

        # another trial, whose start is short of memory, and which then saves and may be short again
        run_id = await pool.open("other", {"name": "other"})
        ticking = asyncio.create_task(pool.tick(run_id))
        await work(["begin"])
        task = asyncio.create_task(work(["begin", "tick", "save", "tick"]))
        assert await ticking == "tick", "the pool tried the start again by itself"
        await pool.dump(run_id, StoredState("sweep", "state"))
        with pytest.raises(WorkerGroupLostError):
            await pool.tick(run_id)
        await task

    run(scenario)
