"""A worker's session when memory is short, without Ray."""

import itertools
import weakref

import numpy as np
import pytest
import torch

from gan.data.images import Images
from gan.training.run import GanRun
from tests.tune.sweeps import tiny_gan
from tune.worker_groups.messages import WorkerCommand
from tune.worker_groups.session import WorkerSession

TIMINGS = {"train_s", "evaluate_s", "images_per_s", "turnover_s"}
BEGIN, TICK = WorkerCommand("begin", config=tiny_gan()), WorkerCommand("tick")


def session_of(world_size: int = 1) -> WorkerSession:
    """A session that treats its CPU like a GPU."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, 16, 16, 3), dtype=np.uint8)
    images = Images(
        train=pixels[:60],
        held_out=pixels[60:],
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint="session",
    )
    session = WorkerSession(images, torch.device("cpu"), 0, world_size)
    session.keeps_state = world_size == 1
    return session


def numbers(session: WorkerSession) -> dict[str, float]:
    """A tick's numbers without its times."""
    row: dict[str, float] = session.execute(TICK)
    return {name: value for name, value in row.items() if name not in TIMINGS}


class ShortOfMemory:
    """Runs out of memory in the ticks or starts of these places, after they have changed the run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str, *places: int) -> None:
        original, times = getattr(GanRun, method), itertools.count()
        self.held: list[weakref.ref[torch.Tensor]] = []

        def attempt(run: GanRun, *args: object, **options: object) -> object:
            found = original(run, *args, **options)
            tensor = torch.zeros(1000)
            if next(times) in places:
                self.held.append(weakref.ref(tensor))
                raise torch.OutOfMemoryError("CUDA out of memory")
            return found

        monkeypatch.setattr(GanRun, method, attempt)


def test_a_tick_that_runs_out_of_memory_is_repeated_once_with_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed = session_of()
    undisturbed.execute(BEGIN)
    expected = [numbers(undisturbed) for _ in range(3)]
    short = ShortOfMemory(monkeypatch, "tick", 1)
    session = session_of()
    session.execute(BEGIN)
    assert [numbers(session) for _ in range(3)] == expected
    assert [tensor() for tensor in short.held] == [None]


def test_a_tick_that_runs_out_of_memory_twice_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    ShortOfMemory(monkeypatch, "tick", 0, 1)
    session = session_of()
    session.execute(BEGIN)
    with pytest.raises(torch.OutOfMemoryError):
        session.execute(TICK)


def test_a_trial_that_runs_out_of_memory_as_it_begins_begins_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ShortOfMemory(monkeypatch, "__init__", 0)
    session = session_of()
    session.execute(BEGIN)
    assert numbers(session)["images_seen"] == 64


def test_other_errors_and_several_ranks_get_no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of()
    session.execute(BEGIN)
    ticks = itertools.count()

    def broken(run: GanRun) -> None:
        next(ticks)
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(GanRun, "tick", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        session.execute(TICK)
    assert next(ticks) == 1
    assert session_of(world_size=2).keeps_state is False


def test_a_cleared_session_keeps_nothing_of_a_trial_whose_error_is_still_at_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = session_of()
    session.execute(BEGIN)
    short = ShortOfMemory(monkeypatch, "tick", 0, 1)
    try:
        session.execute(TICK)
    except torch.OutOfMemoryError as error:
        session.clear(error)
        assert [tensor() for tensor in short.held] == [None, None]
