"""The order of a batch and the blame for deaths, simulated without workers."""

import random
from collections import Counter, deque
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.execution.dispatch import MOST_MACHINES, Cause, Dispatcher, Input, PairTask, Task
from styletransfer.planning.pairs import Need, Pair, product
from styletransfer.planning.plan import in_blocks


def needs(pair: Pair) -> list[Need]:
    return [Need("content", pair.content, ""), Need("style", pair.style, "")]


def dispatcher(
    pairs: list[Pair], *, workers: int = 2, together: int = 1, ahead: int | None = None, styles: int = 64
) -> Dispatcher:
    return Dispatcher(
        pairs,
        needs,
        ahead=ahead or (3 * workers + 1) * together,
        together=together,
        workers=workers,
        kept={"content": 2, "style": styles},
    )


def grid(contents: int, styles: int) -> list[Pair]:
    return product([f"c{index}" for index in range(contents)], [f"s{index}" for index in range(styles)])


class Play:
    """Workers with queues of two, one of which acts at random next; some names are bad, some kill."""

    def __init__(
        self, plan: Dispatcher, workers: int, *, bad: set[str], killers: set[str], lot: random.Random
    ) -> None:
        self.plan, self.bad, self.killers, self.lot = plan, bad, killers, lot
        self.queues: list[deque[Task]] = [deque() for _ in range(workers)]
        self.prepared: Counter[str] = Counter()
        self.stylized: list[Pair] = []
        self.failed: dict[Pair, str] = {}
        self.deaths: Counter[str] = Counter()

    def run(self) -> None:
        while not self.plan.is_finished():
            for queue in sorted(self.queues, key=len):
                if len(queue) < 2 and (task := self.plan.next_task(is_idle=not queue)) is not None:
                    queue.append(task)
            for pair, reason in self.plan.failures():
                assert pair not in self.failed
                self.failed[pair] = reason
            busy = [queue for queue in self.queues if queue]
            if busy:
                self.step(self.lot.choice(busy))

    def step(self, queue: deque[Task]) -> None:
        task = queue[0]
        if isinstance(task, Input):
            name = task.need.name
            if name in self.killers:
                self.deaths[name] += 1
                self.plan.interrupted(list(queue), "worker died")
                queue.clear()
                return
            queue.popleft()
            self.prepared[name] += 1
            if name in self.bad:
                self.plan.failed(task, f"{name} is bad")
            else:
                self.plan.prepared(task, object(), (4, 3))
            return
        assert all(pending.is_ready for pending in task)
        deadly = [each for each in task if "/".join(each.pair[:2]) in self.killers]
        if deadly:
            self.deaths["/".join(deadly[0].pair[:2])] += 1
            self.plan.interrupted(list(queue), "worker died")
            queue.clear()
            return
        queue.popleft()
        self.stylized += [pending.pair for pending in task]
        self.plan.stylized(task)


def played(plan: Dispatcher, *, bad: set[str] | None = None) -> Play:
    """One worker to the end."""
    play = Play(plan, 1, bad=bad or set(), killers=set(), lot=random.Random(0))
    play.run()
    return play


def test_a_product_needs_each_picture_once_and_a_large_one_each_style_once() -> None:
    play = played(dispatcher(in_blocks(grid(5, 7), 64)))
    assert play.prepared == {**{f"c{i}": 1 for i in range(5)}, **{f"s{i}": 1 for i in range(7)}}
    assert sorted(play.stylized) == sorted(grid(5, 7))
    play = played(dispatcher(in_blocks(grid(30, 10), 4), styles=4))
    assert play.prepared == {**{f"c{i}": 3 for i in range(30)}, **{f"s{i}": 1 for i in range(10)}}
    assert sorted(play.stylized) == sorted(grid(30, 10))


def test_a_bad_picture_is_read_once_and_fails_its_pairs_and_no_other() -> None:
    play = played(dispatcher(grid(40, 3)), bad={"s1", "c7"})
    assert play.prepared["s1"] == play.prepared["c7"] == 1
    expected = {pair for pair in grid(40, 3) if "s1" in pair or "c7" in pair}
    assert set(play.failed) == expected and set(play.stylized) == set(grid(40, 3)) - expected
    assert set(play.failed.values()) == {"s1 is bad", "c7 is bad"}


names = st.integers(0, 5)


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    workers=st.integers(1, 4),
    together=st.sampled_from([1, 3]),
    bad=st.sets(names.map("c{}".format) | names.map("s{}".format), max_size=3),
    read_killers=st.sets(names.map("c{}".format), max_size=2),
    style_killers=st.sets(st.tuples(names, names).map(lambda both: "c{}/s{}".format(*both)), max_size=3),
    lot=st.randoms(use_true_random=False),
)
def test_whatever_dies_every_pair_ends_once_and_only_the_guilty_fail(
    shape: tuple[int, int],
    workers: int,
    together: int,
    bad: set[str],
    read_killers: set[str],
    style_killers: set[str],
    lot: random.Random,
) -> None:
    pairs = grid(*shape)
    plan = dispatcher(pairs, workers=workers, together=together)
    play = Play(plan, workers, bad=bad, killers=read_killers | style_killers, lot=lot)
    play.run()
    hopeless = {
        pair for pair in pairs if set(pair[:2]) & (bad | read_killers) or "/".join(pair[:2]) in style_killers
    }
    assert len(play.stylized) == len(set(play.stylized)) and set(play.stylized) == set(pairs) - hopeless
    assert set(play.failed) == hopeless
    assert all(count <= 2 for count in play.deaths.values()), "two deaths are enough to know"
    for pair, reason in play.failed.items():
        if "/".join(pair[:2]) in style_killers and not set(pair[:2]) & (bad | read_killers):
            assert reason == "the worker died twice while stylizing it, perhaps for lack of memory"


def test_nobody_waits_for_a_picture_while_pairs_are_stylized() -> None:
    plan = dispatcher(grid(6, 3), workers=2)
    queues: list[deque[Task]] = [deque(), deque()]
    waited = 0
    while not plan.is_finished():
        # stylizing takes ten steps, reading one: both workers keep in step
        for queue in queues:
            while len(queue) < 2 and (task := plan.next_task(is_idle=not queue)) is not None:
                queue.append(task)
            waited += not queue and not plan.is_finished()
        for queue in queues:
            while queue and isinstance(task := queue.popleft(), Input):
                plan.prepared(task, object(), (4, 3))
                if not queue and (more := plan.next_task(is_idle=True)) is not None:
                    queue.append(more)
            if isinstance(task, tuple):
                plan.stylized(task)
    assert waited == 0


def prepare_all(plan: Dispatcher) -> PairTask:
    """Prepare what is wanted, and return the first pairs to stylize."""
    while isinstance(task := plan.next_task(is_idle=True), Input):
        plan.prepared(task, object(), (4, 3))
    assert isinstance(task, tuple)
    return task


def test_the_last_pairs_wait_for_an_idle_worker() -> None:
    plan = dispatcher(grid(1, 4), workers=2)
    prepare_all(plan)
    second = plan.next_task(is_idle=True)
    assert isinstance(second, tuple)
    assert plan.next_task(is_idle=False) is None, "two pairs are left for two workers"
    assert isinstance(plan.next_task(is_idle=True), tuple)


def test_pairs_of_equal_size_and_variant_are_stylized_together() -> None:
    pairs = product(["a", "b", "wide"], ["s"], ["", "lr=1"])
    plan = dispatcher(pairs, together=4)
    groups = []
    while not plan.is_finished():
        task = plan.next_task(is_idle=True)
        if isinstance(task, Input):
            plan.prepared(task, object(), (9, 3) if task.need.name == "wide" else (4, 3))
        elif task is not None:
            groups.append({pending.pair for pending in task})
            plan.stylized(task)
    assert sorted(map(sorted, groups)) == sorted(
        [
            sorted([Pair("a", "s"), Pair("b", "s")]),
            sorted([Pair("a", "s", "lr=1"), Pair("b", "s", "lr=1")]),
            [Pair("wide", "s")],
            [Pair("wide", "s", "lr=1")],
        ]
    )


def test_pictures_lost_with_a_machine_are_prepared_again_but_not_for_ever() -> None:
    plan = dispatcher(grid(1, 1))
    for _ in range(4):
        task = prepare_all(plan)
        assert not plan.failures()
        plan.interrupted([task], "inputs were lost")
    [(pair, reason)] = plan.failures()
    assert [pair] == grid(1, 1) and plan.is_finished()
    assert reason.startswith("its prepared pictures were lost with their machines 4 times")


def test_the_window_does_not_grow_with_the_batch() -> None:
    plan = dispatcher(grid(100, 100), workers=2)
    most = 0
    for _ in range(3000):
        task = plan.next_task(is_idle=True)
        if isinstance(task, Input):
            plan.prepared(task, object(), (4, 3))
        else:
            assert task is not None
            plan.stylized(task)
        most = max(most, sum(map(len, plan._inputs.values())) + len(plan._window))
    assert most <= 7 + 64 + 2


@pytest.mark.parametrize("cause", get_args(Cause))
def test_an_interrupted_pair_is_stylized_first(cause: Cause) -> None:
    plan = dispatcher(grid(1, 6))
    first = prepare_all(plan)
    plan.interrupted([first], cause)
    assert prepare_all(plan) == first


def test_the_loss_of_machines_is_not_a_pairs_fault() -> None:
    plan = dispatcher(grid(1, 6), together=2)
    for _ in range(MOST_MACHINES - 1):
        plan.interrupted([prepare_all(plan)], "machine was lost")
    task = prepare_all(plan)
    assert len(task) == 2, "none of them has to be stylized alone"
    assert all(pending.interruptions["worker died"] == 0 for pending in task)
    plan.interrupted([task], "worker died")
    assert len(prepare_all(plan)) == 1 and not plan.failures(), "the worker itself died once"


def test_a_pair_that_machines_are_lost_of_again_and_again_is_given_up() -> None:
    plan = dispatcher(grid(1, 2))
    for _ in range(MOST_MACHINES):
        task = prepare_all(plan)
        plan.interrupted([task], "machine was lost")
    reason = "6 machines were lost while stylizing it, perhaps for lack of memory"
    assert plan.failures() == [(grid(1, 2)[0], reason)]
    assert prepare_all(plan)[0].pair == grid(1, 2)[1]


def test_a_picture_whose_reader_lost_its_machine_is_read_again_but_not_for_ever() -> None:
    plan = dispatcher(grid(1, 2))
    for _ in range(MOST_MACHINES):
        task = plan.next_task(is_idle=True)
        assert not plan.failures()
        assert isinstance(task, Input) and task.need.kind == "content"
        plan.interrupted([task], "machine was lost")
    assert {reason for _, reason in plan.failures()} == {"6 machines were lost while reading c0"}


def test_only_what_the_lost_machine_was_working_on_is_marked() -> None:
    plan = dispatcher(grid(1, 6), workers=1)
    first, second = prepare_all(plan), prepare_all(plan)
    plan.interrupted([first, second], "machine was lost")
    assert first[0].notes() == ("its machine was lost: stylized again",) and second[0].notes() == ()


def test_after_two_pairs_of_a_size_killed_workers_the_others_of_it_are_stylized_with_care() -> None:
    plan = dispatcher(grid(6, 1), workers=1, ahead=6)
    for _ in range(7):
        task = plan.next_task(is_idle=True)
        assert isinstance(task, Input)
        size = (64, 48) if task.need.name == "c5" else (4000, 3000)
        plan.prepared(task, object(), size)
    careful: dict[str, list[bool]] = {}
    deaths = ["c0", "c0", "c1"]  # c0 is given up; one pair alone may be to blame itself
    while not plan.is_finished():
        task = plan.next_task(is_idle=True)
        assert isinstance(task, tuple)
        [pending] = task
        careful.setdefault(pending.pair.content, []).append(pending.is_careful)
        if pending.pair.content in deaths:
            deaths.remove(pending.pair.content)
            plan.interrupted([task], "worker died")
        else:
            plan.stylized(task)
        plan.failures()
    assert careful == {
        "c0": [False, False],
        "c1": [False, True],
        "c2": [True],
        "c3": [True],
        "c4": [True],
        "c5": [False],
    }
