"""What a pool makes of a worker's answers and of its death, with Ray's answers played by the test."""

import time
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
import ray.exceptions

from styletransfer.execution import worker_pool
from styletransfer.execution.dispatch import Dispatcher, Input, PairTask
from styletransfer.execution.renderer import NO_STEPS, PreparationResult, Steps
from styletransfer.execution.result_log import BatchError
from styletransfer.execution.worker_pool import WorkerPool
from styletransfer.planning.pairs import Need, Pair

PAIR = Pair("c.png", "s.png")


class Stage:
    """A pool of one worker whose next answer is what the test puts into `answers`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: deque[Any] = deque()
        self.started = 0
        fake = SimpleNamespace(
            get=self.get, put=lambda value: value, kill=lambda actor: None, exceptions=ray.exceptions
        )
        fake.wait = lambda references, **_: (references if self.answers else [], [])
        monkeypatch.setattr(worker_pool, "ray", fake)
        monkeypatch.setattr(worker_pool, "is_alive", lambda node_id: node_id != "lost")
        monkeypatch.setattr(WorkerPool, "_start", self.start)
        self.pool = WorkerPool({}, {}, None, SimpleNamespace(workers=1, gpu=False, cpus=1))  # type: ignore[arg-type]
        self.dispatcher = Dispatcher(
            [PAIR],
            lambda pair: [Need("content", pair.content, ""), Need("style", pair.style, "")],
            ahead=1,
            together=1,
            workers=1,
            kept={},
        )
        self.written: list[str] = []
        self.recorded: list[Any] = []
        self.results: Any = SimpleNamespace(
            write=lambda files: self.written.extend(files), record=lambda *each: self.recorded.append(each)
        )

    def start(self) -> worker_pool.Worker:
        self.started += 1
        call = SimpleNamespace(remote=lambda *_: object(), options=lambda **_: pair_of_references)
        pair_of_references = SimpleNamespace(remote=lambda *_: ("answer", "handle"))
        return worker_pool.Worker(SimpleNamespace(hello=call, prepare=call, stylize=call, report=call))

    def get(self, _: object) -> Any:
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hear(self, *answers: Any) -> None:
        self.answers.extend(answers)
        self.pool.wait(0, self.dispatcher, self.results)

    def assign(self) -> Input | PairTask | None:
        [worker] = self.pool.free()
        task = self.dispatcher.next_task(is_idle=True)
        if isinstance(task, Input):
            worker.prepare(task, b"")
        elif task is not None:
            worker.stylize(task, [])
        return task


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def pending(stage: Stage) -> PairTask:
    """The pair's task, assigned after its inputs are prepared."""
    for _ in range(2):
        assert isinstance(stage.assign(), Input)
        stage.hear(PreparationResult(size_px=(4, 3), files={"thumb.jpg": b""}))
    task = stage.assign()
    assert isinstance(task, tuple)
    return task


def test_a_finished_pair_is_recorded_and_thumbnails_are_written(stage: Stage) -> None:
    stage.hear("node")
    pending(stage)
    stage.hear([("entry", {"a.png": b""})])
    assert stage.recorded == [("entry", {"a.png": b""})] and stage.written == ["thumb.jpg"] * 2
    assert stage.dispatcher.is_finished() and stage.started == 1


def test_a_worker_is_asked_how_far_its_pair_is_without_waiting_for_the_answer(stage: Stage) -> None:
    assert stage.pool.steps() == [NO_STEPS], "not ready yet"
    stage.hear("node")
    pending(stage)
    assert stage.pool.steps() == [NO_STEPS], "asked"
    assert stage.pool.steps() == [NO_STEPS], "no answer yet"
    for done in (5, 8):
        stage.answers.append(Steps(0, done, 10))
        assert stage.pool.steps() == [Steps(0, done, 10)]
    stage.answers.append(ray.exceptions.RayActorError())
    assert stage.pool.steps() == [Steps(0, 8, 10)], "a death shows elsewhere"
    stage.hear([("entry", {})])
    assert stage.pool.steps() == [NO_STEPS]


def test_an_error_of_a_task_fails_its_pairs_in_one_line(stage: Stage) -> None:
    stage.hear("node")
    pending(stage)
    error = ray.exceptions.RayTaskError("stylize", "a long\ntraceback", ZeroDivisionError("first\nlast"))
    stage.hear(error)
    assert stage.dispatcher.failures() == [(PAIR, "ZeroDivisionError: last")]
    stage.hear()
    assert stage.dispatcher.is_finished() and stage.started == 1


def test_inputs_that_were_lost_are_prepared_again(stage: Stage) -> None:
    stage.hear("node")
    pending(stage)
    stage.hear(ray.exceptions.ObjectLostError("00", None, ""))
    assert not stage.dispatcher.failures() and stage.started == 1
    [again] = pending(stage)
    assert again.interruptions["inputs were lost"] == 1 and again.notes() == ()


@pytest.mark.parametrize(
    ("node", "error", "cause"),
    [
        ("node", ray.exceptions.RayActorError(), "worker died"),
        ("node", ray.exceptions.OutOfMemoryError("full"), "worker died"),
        ("lost", ray.exceptions.RayActorError(), "machine was lost"),
        ("node", ray.exceptions.NodeDiedError("gone"), "machine was lost"),
        ("node", ray.exceptions.ActorUnavailableError("away", b"0" * 16), "machine was lost"),
    ],
    ids=["killed", "out of memory", "with its node", "node died", "unreachable"],
)
def test_a_dead_worker_is_replaced_and_its_task_put_back_with_the_cause(
    stage: Stage, node: str, error: Exception, cause: Any
) -> None:
    stage.hear(node)
    [pair] = pending(stage)
    stage.hear(error)
    assert stage.started == 2 and pair.interruptions == {cause: 1}
    stage.hear("node")
    assert stage.assign() == (pair,)


def test_workers_that_keep_dying_end_the_batch(stage: Stage) -> None:
    for _ in range(2):
        stage.hear(ray.exceptions.RayActorError())
    with pytest.raises(BatchError, match="workers cannot be kept alive: no memory; try fewer --workers"):
        stage.hear(RuntimeError("a trace\nno memory"))
    assert stage.started == 3


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(""),
        IndexError("list index out of range"),
        ray.exceptions.RayTaskError("hello", "a\ntrace", KeyError()),
        ray.exceptions.RuntimeEnvSetupError("no such environment"),
        ray.exceptions.ActorUnschedulableError("no room"),
        ray.exceptions.RaySystemError(ValueError("torn")),
        ray.exceptions.OwnerDiedError("00", None, ""),
        ray.exceptions.ObjectLostError("00", None, ""),
        ray.exceptions.GetTimeoutError("late"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_error_of_a_start_is_tried_again_and_ends_the_batch_in_one_line_when_it_stays(
    stage: Stage, error: Exception
) -> None:
    for _ in range(2):
        stage.hear(error)
    assert stage.started == 3 and stage.pool.ready() == []
    with pytest.raises(BatchError, match=r"workers cannot be kept alive: .+; try fewer") as caught:
        stage.hear(error)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("busy"), ray.exceptions.RayActorError()])
def test_a_start_that_fails_once_costs_nothing(stage: Stage, error: Exception) -> None:
    stage.hear(error)
    stage.hear("node")
    pending(stage)
    stage.hear([("entry", {})])
    assert stage.started == 2 and stage.dispatcher.is_finished()


def test_no_worker_ready_for_a_long_time_ends_the_batch(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.hear()
    now = time.monotonic()
    monkeypatch.setattr(worker_pool.time, "monotonic", lambda: now + worker_pool.START_TIMEOUT_S + 1)
    with pytest.raises(BatchError, match="no worker was ready for 300 s; `ray status` shows what is missing"):
        stage.hear()
