"""The pool, with simulated workers whose runs only count their ticks."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tune.worker_groups.messages import (
    CommandResult,
    NoWorkerGroupLeftError,
    StoredState,
    TrialFailedError,
    WorkerGroupLostError,
)
from tune.worker_groups.pool import Pool


class FakeWorkerGroup:
    """Workers that answer as real ones do; a tick of trial `x` from state `n` gives `(x, n + 1)`."""

    def __init__(self, pool: Pool, name: str, world_size: int = 1) -> None:
        self.pool, self.name, self.world_size = pool, name, world_size
        self.log: list[str] = []
        self.saved: list[tuple[StoredState | None, int]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.incarnation = 0

    def start(self) -> "FakeWorkerGroup":
        self.incarnation += 1
        self.tasks = [
            asyncio.create_task(self._work(rank, f"{self.name}.{self.incarnation}"))
            for rank in range(self.world_size)
        ]
        return self

    def kill(self) -> None:
        for task in self.tasks:
            task.cancel()

    async def _work(self, rank: int, incarnation: str) -> None:
        trial, count, result = "", 0, None
        while True:
            command = await self.pool.report_and_wait(self.name, incarnation, rank, self.world_size, result)
            await asyncio.sleep(0)
            if rank == 0:
                self.log.append(command.kind)
            if command.kind == "stop":
                return
            result = CommandResult(command.number)
            if command.kind == "begin":
                assert command.config is not None
                trial, count = command.config["name"], command.state or 0
            elif command.kind == "tick":
                if trial == "broken":
                    result = CommandResult(command.number, error="loss is NaN")
                elif trial in ("crash", "orphan"):
                    is_orphan = trial == "orphan"
                    result = CommandResult(command.number, error="boom", fatal=True, is_peer_lost=is_orphan)
                else:
                    count += 1
                    result = CommandResult(command.number, value=(trial, count))
            elif command.kind == "confirm":
                result = CommandResult(command.number, value=(trial, count, "measured"))
            elif command.kind == "dump":
                result = CommandResult(command.number, value=count)
            else:
                self.saved.append((command.target, count))


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario(), timeout=5)

    asyncio.run(bounded())


async def ticks(pool: Pool, name: str, count: int) -> list[Any]:
    run_id = await pool.open(name, {"name": name})
    return [await pool.tick(run_id) for _ in range(count)]


def test_a_trial_ticks_in_the_group_that_holds_its_state_without_a_second_begin() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        group = FakeWorkerGroup(pool, "a").start()
        assert await ticks(pool, "x", 3) == [("x", 1), ("x", 2), ("x", 3)]
        assert group.log == ["begin", "tick", "tick", "tick"]

    run(scenario)


def test_a_loaded_state_is_saved_by_its_group_and_never_passes_through_the_pool() -> None:
    async def scenario() -> None:
        pool, target = Pool(["a"]), StoredState("runs/sweep", "x/state.safetensors")
        group = FakeWorkerGroup(pool, "a").start()
        run_id = await pool.open("x", {"name": "x"})
        await pool.tick(run_id)
        assert await pool.dump(run_id, target) is None
        assert group.log == ["begin", "tick", "save"] and group.saved == [(target, 1)]
        assert await ticks(pool, "other", 1) == [("other", 1)]  # which needs the group
        assert await pool.dump(run_id, target) == 1, "nobody has it loaded: the caller writes it"
        assert await pool.tick(run_id) == ("x", 2)

    run(scenario)


def test_a_group_that_is_added_takes_a_trial_that_waits() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        waiting = asyncio.create_task(ticks(pool, "x", 2))
        await asyncio.sleep(0)
        await pool.add("b")
        group = FakeWorkerGroup(pool, "b").start()
        assert await waiting == [("x", 1), ("x", 2)]
        assert group.log == ["begin", "tick", "tick"]
        assert [each.name for each in await pool.status()] == ["a", "b"]

    run(scenario)


@pytest.mark.parametrize("world_size", [1, 3])
def test_more_trials_than_groups_take_turns_and_none_loses_a_tick(world_size: int) -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        for name in ("a", "b"):
            FakeWorkerGroup(pool, name, world_size).start()
        names = [f"trial-{index}" for index in range(7)]
        results = await asyncio.gather(*(ticks(pool, name, 10) for name in names))
        assert results == [[(name, tick) for tick in range(1, 11)] for name in names]

    run(scenario)


def test_random_lives_of_trials_always_see_their_own_state() -> None:
    async def life(pool: Pool, name: str, rng: random.Random) -> None:
        run_id, count = await pool.open(name, {"name": name}), 0
        for _ in range(30):
            await asyncio.sleep(0)
            action = rng.choice(["tick", "tick", "tick", "dump", "reopen"])
            if action == "tick":
                count += 1
                assert await pool.tick(run_id) == (name, count)
            elif action == "dump" and count:
                assert await pool.dump(run_id) == count
            elif action == "reopen" and count:
                saved = await pool.dump(run_id)
                run_id = await pool.open(name, {"name": name})
                await pool.load(run_id, saved)

    async def scenario() -> None:
        pool = Pool(["a", "b", "c"])
        for name in ("a", "b", "c"):
            FakeWorkerGroup(pool, name).start()
        await asyncio.gather(*(life(pool, f"t{seed}", random.Random(seed)) for seed in range(9)))

    run(scenario)


def test_a_group_that_is_forgotten_is_taken_before_one_that_must_be_emptied() -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        groups = [FakeWorkerGroup(pool, name).start() for name in ("a", "b")]
        first, second = await pool.open("x", {"name": "x"}), await pool.open("y", {"name": "y"})
        await pool.tick(first)
        await pool.tick(second)
        await pool.forget(second)
        await pool.tick(await pool.open("z", {"name": "z"}))
        assert all("dump" not in group.log for group in groups)
        assert await pool.tick(first) == ("x", 2)

    run(scenario)


def test_a_killed_group_fails_the_tick_it_was_on_once_it_registers_anew() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        group = FakeWorkerGroup(pool, "a").start()
        run_id = await pool.open("x", {"name": "x"})
        assert await pool.tick(run_id) == ("x", 1)
        group.kill()
        tick = asyncio.create_task(pool.tick(run_id))
        await asyncio.sleep(0.01)
        group.start()
        with pytest.raises(WorkerGroupLostError, match="restarted"):
            await tick
        again = await pool.open("x", {"name": "x"})
        await pool.load(again, 1)
        assert await pool.tick(again) == ("x", 2)
        assert (await pool.status())[0].restarts == 1

    run(scenario)


def test_a_state_that_died_between_two_ticks_is_reported_at_the_next() -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        groups = [FakeWorkerGroup(pool, name).start() for name in ("a", "b")]
        run_id = await pool.open("x", {"name": "x"})
        await pool.tick(run_id)
        for group in groups:
            group.kill()
            group.start()
        await asyncio.sleep(0.01)
        with pytest.raises(WorkerGroupLostError):
            await pool.tick(run_id)

    run(scenario)


def test_a_trials_own_failure_leaves_the_group_to_the_next_trial() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        FakeWorkerGroup(pool, "a").start()
        with pytest.raises(TrialFailedError, match="loss is NaN"):
            await ticks(pool, "broken", 1)
        assert await ticks(pool, "x", 2) == [("x", 1), ("x", 2)]

    run(scenario)


def test_a_failed_trial_that_is_not_forgotten_yet_is_no_burden_to_the_next() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        group = FakeWorkerGroup(pool, "a").start()
        run_id = await pool.open("broken", {"name": "broken"})
        with pytest.raises(TrialFailedError):
            await pool.tick(run_id)
        assert await ticks(pool, "x", 1) == [("x", 1)]
        assert "dump" not in group.log, "what failed is not worth a switch"
        with pytest.raises(WorkerGroupLostError, match="failed"):
            await pool.tick(run_id)

    run(scenario)


def test_a_fatal_failure_takes_the_group_out_until_it_registers_anew() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        group = FakeWorkerGroup(pool, "a", world_size=2).start()
        with pytest.raises(TrialFailedError, match="boom"):
            await ticks(pool, "crash", 1)
        assert (await pool.status())[0].state == "starting"
        group.kill()
        group.start()
        assert await ticks(pool, "x", 1) == [("x", 1)]

    run(scenario)


def test_a_rank_that_has_lost_its_peer_fails_the_group_and_not_the_trial() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        FakeWorkerGroup(pool, "a", world_size=2).start()
        with pytest.raises(WorkerGroupLostError, match="a restarts"):
            await ticks(pool, "orphan", 1)
        assert (await pool.status())[0].state == "starting"

    run(scenario)


def test_when_the_last_group_is_lost_all_waiting_trials_fail_with_the_reason() -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        waiting = asyncio.create_task(ticks(pool, "x", 1))
        await asyncio.sleep(0)
        await pool.lose("a", "no memory")
        await pool.lose("b", "no memory")
        with pytest.raises(NoWorkerGroupLeftError, match="no memory"):
            await waiting
        with pytest.raises(NoWorkerGroupLeftError, match="no memory"):
            await ticks(pool, "y", 1)

    run(scenario)


def test_a_group_lost_for_good_does_not_stop_the_others() -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        FakeWorkerGroup(pool, "b").start()
        await pool.lose("a", "gone")
        assert await ticks(pool, "x", 2) == [("x", 1), ("x", 2)]

    run(scenario)


def test_a_second_run_of_the_same_owner_drops_the_first_ones_state() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        FakeWorkerGroup(pool, "a").start()
        first = await pool.open("x", {"name": "x"})
        await pool.tick(first)
        second = await pool.open("x", {"name": "x"})
        assert await pool.tick(second) == ("x", 1)
        assert list(pool._runs) == [second]
        with pytest.raises(WorkerGroupLostError, match="another actor of the trial"):
            await pool.tick(first)

    run(scenario)


def test_a_state_cannot_be_saved_before_there_is_one() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        FakeWorkerGroup(pool, "a").start()
        with pytest.raises(TrialFailedError, match="no state"):
            await pool.dump(await pool.open("x", {"name": "x"}))

    run(scenario)


def test_a_saved_state_is_measured_again_without_disturbing_the_runs_that_are_loaded() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        FakeWorkerGroup(pool, "a").start()
        run_id = await pool.open("x", {"name": "x"})
        assert await pool.tick(run_id) == ("x", 1)
        assert await pool.confirm({"name": "y"}, 5) == ("y", 5, "measured")
        assert await pool.tick(run_id) == ("x", 2)
        assert list(pool._runs) == [run_id]

    run(scenario)
