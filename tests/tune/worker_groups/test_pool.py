"""The pool's bookkeeping, driven by make-believe workers whose runs just count their ticks."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tune.worker_groups.messages import GangLostError, NoGangLeftError, Outcome, TrialFailedError
from tune.worker_groups.pool import Pool


class FakeGang:
    """Workers that answer as real ones do; a tick of trial `x` from state `n` gives `(x, n + 1)`."""

    def __init__(self, pool: Pool, name: str, world_size: int = 1) -> None:
        self.pool, self.name, self.world_size = pool, name, world_size
        self.log: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.incarnation = 0

    def start(self) -> "FakeGang":
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
        trial, count, outcome = "", 0, None
        while True:
            command = await self.pool.exchange(self.name, incarnation, rank, self.world_size, outcome)
            await asyncio.sleep(0)
            if rank == 0:
                self.log.append(command.kind)
            if command.kind == "stop":
                return
            outcome = Outcome()
            if command.kind == "begin":
                assert command.config is not None
                trial, count = command.config["name"], command.state or 0
            elif command.kind == "tick":
                if trial == "broken":
                    outcome = Outcome(error="loss is NaN")
                elif trial in ("crash", "orphan"):
                    is_orphan = trial == "orphan"
                    outcome = Outcome(error="boom", fatal=True, is_peer_lost=is_orphan)
                else:
                    count += 1
                    outcome = Outcome(value=(trial, count))
            elif command.kind == "dump":
                outcome = Outcome(value=count)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario(), timeout=5)

    asyncio.run(bounded())


async def ticks(pool: Pool, name: str, count: int) -> list[Any]:
    lease = await pool.open(name)
    return [await pool.tick(lease, {"name": name}) for _ in range(count)]


def test_a_trial_ticks_in_the_gang_that_holds_its_state_without_a_second_begin() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        gang = FakeGang(pool, "a").start()
        assert await ticks(pool, "x", 3) == [("x", 1), ("x", 2), ("x", 3)]
        assert gang.log == ["begin", "tick", "tick", "tick"]

    run(scenario)


def test_a_gang_that_is_added_takes_a_trial_that_waits() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        waiting = asyncio.create_task(ticks(pool, "x", 2))
        await asyncio.sleep(0)
        await pool.add("b")
        gang = FakeGang(pool, "b").start()
        assert await waiting == [("x", 1), ("x", 2)]
        assert gang.log == ["begin", "tick", "tick"]
        assert [each.name for each in await pool.status()] == ["a", "b"]

    run(scenario)


@pytest.mark.parametrize("world_size", [1, 3])
def test_more_trials_than_gangs_take_turns_and_none_loses_a_tick(world_size: int) -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        for name in ("a", "b"):
            FakeGang(pool, name, world_size).start()
        names = [f"trial-{index}" for index in range(7)]
        results = await asyncio.gather(*(ticks(pool, name, 10) for name in names))
        assert results == [[(name, tick) for tick in range(1, 11)] for name in names]

    run(scenario)


def test_random_lives_of_trials_always_see_their_own_state() -> None:
    async def life(pool: Pool, name: str, rng: random.Random) -> None:
        lease, count = await pool.open(name), 0
        for _ in range(30):
            await asyncio.sleep(0)
            action = rng.choice(["tick", "tick", "tick", "dump", "reopen"])
            if action == "tick":
                count += 1
                assert await pool.tick(lease, {"name": name}) == (name, count)
            elif action == "dump" and count:
                assert await pool.dump(lease) == count
            elif action == "reopen" and count:
                saved = await pool.dump(lease)
                lease = await pool.open(name)
                await pool.load(lease, saved)

    async def scenario() -> None:
        pool = Pool(["a", "b", "c"])
        for name in ("a", "b", "c"):
            FakeGang(pool, name).start()
        await asyncio.gather(*(life(pool, f"t{seed}", random.Random(seed)) for seed in range(9)))

    run(scenario)


def test_a_gang_that_is_forgotten_is_taken_before_one_that_must_be_emptied() -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        gangs = [FakeGang(pool, name).start() for name in ("a", "b")]
        first, second = await pool.open("x"), await pool.open("y")
        await pool.tick(first, {"name": "x"})
        await pool.tick(second, {"name": "y"})
        await pool.forget(second)
        await pool.tick(await pool.open("z"), {"name": "z"})
        assert all("dump" not in gang.log for gang in gangs)
        assert await pool.tick(first, {"name": "x"}) == ("x", 2)

    run(scenario)


def test_a_killed_gang_fails_the_tick_it_was_on_once_it_registers_anew() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        gang = FakeGang(pool, "a").start()
        lease = await pool.open("x")
        assert await pool.tick(lease, {"name": "x"}) == ("x", 1)
        gang.kill()
        tick = asyncio.create_task(pool.tick(lease, {"name": "x"}))
        await asyncio.sleep(0.01)
        gang.start()
        with pytest.raises(GangLostError, match="restarted"):
            await tick
        again = await pool.open("x")
        await pool.load(again, 1)
        assert await pool.tick(again, {"name": "x"}) == ("x", 2)
        assert (await pool.status())[0].restarts == 1

    run(scenario)


def test_a_state_that_died_between_two_ticks_is_reported_at_the_next() -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        gangs = [FakeGang(pool, name).start() for name in ("a", "b")]
        lease = await pool.open("x")
        await pool.tick(lease, {"name": "x"})
        for gang in gangs:
            gang.kill()
            gang.start()
        await asyncio.sleep(0.01)
        with pytest.raises(GangLostError):
            await pool.tick(lease, {"name": "x"})

    run(scenario)


def test_a_trials_own_failure_leaves_the_gang_to_the_next_trial() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        FakeGang(pool, "a").start()
        with pytest.raises(TrialFailedError, match="loss is NaN"):
            await ticks(pool, "broken", 1)
        assert await ticks(pool, "x", 2) == [("x", 1), ("x", 2)]

    run(scenario)


def test_a_failed_trial_that_is_not_forgotten_yet_is_no_burden_to_the_next() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        gang = FakeGang(pool, "a").start()
        lease = await pool.open("broken")
        with pytest.raises(TrialFailedError):
            await pool.tick(lease, {"name": "broken"})
        assert await ticks(pool, "x", 1) == [("x", 1)]
        assert "dump" not in gang.log, "what failed is not worth a switch"
        with pytest.raises(GangLostError, match="failed"):
            await pool.tick(lease, {"name": "broken"})

    run(scenario)


def test_a_fatal_failure_takes_the_gang_out_until_it_registers_anew() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        gang = FakeGang(pool, "a", world_size=2).start()
        with pytest.raises(TrialFailedError, match="boom"):
            await ticks(pool, "crash", 1)
        assert (await pool.status())[0].state == "starting"
        gang.kill()
        gang.start()
        assert await ticks(pool, "x", 1) == [("x", 1)]

    run(scenario)


def test_a_rank_that_has_lost_its_peer_fails_the_gang_and_not_the_trial() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        FakeGang(pool, "a", world_size=2).start()
        with pytest.raises(GangLostError, match="a restarts"):
            await ticks(pool, "orphan", 1)
        assert (await pool.status())[0].state == "starting"

    run(scenario)


def test_when_the_last_gang_is_lost_everyone_is_told_why() -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        waiting = asyncio.create_task(ticks(pool, "x", 1))
        await asyncio.sleep(0)
        await pool.lose("a", "no memory")
        await pool.lose("b", "no memory")
        with pytest.raises(NoGangLeftError, match="no memory"):
            await waiting
        with pytest.raises(NoGangLeftError, match="no memory"):
            await ticks(pool, "y", 1)

    run(scenario)


def test_a_gang_lost_for_good_does_not_stop_the_others() -> None:
    async def scenario() -> None:
        pool = Pool(["a", "b"])
        FakeGang(pool, "b").start()
        await pool.lose("a", "gone")
        assert await ticks(pool, "x", 2) == [("x", 1), ("x", 2)]

    run(scenario)


def test_a_second_lease_of_the_same_owner_drops_the_first_ones_state() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        FakeGang(pool, "a").start()
        first = await pool.open("x")
        await pool.tick(first, {"name": "x"})
        second = await pool.open("x")
        assert await pool.tick(second, {"name": "x"}) == ("x", 1)
        assert pool._states == {}

    run(scenario)


def test_a_state_cannot_be_saved_before_there_is_one() -> None:
    async def scenario() -> None:
        pool = Pool(["a"])
        FakeGang(pool, "a").start()
        with pytest.raises(TrialFailedError, match="no state"):
            await pool.dump(await pool.open("x"))

    run(scenario)
