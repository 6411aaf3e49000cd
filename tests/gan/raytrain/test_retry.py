"""What a run's worker does when memory is short, without Ray."""

import weakref
from typing import Any

import pytest
import torch

from gan.raytrain import worker
from gan.raytrain.events import Ended


class Training:
    """Stands in for a run: fails with the given errors, one a start, before it ends well."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.starts = list(errors), 0
        self.held: list[weakref.ref[torch.Tensor]] = []

    def __call__(self, *_: Any) -> Ended:
        assert all(tensor() is None for tensor in self.held), "the failed start still holds its tensors"
        tensor = torch.zeros(1000)
        self.held.append(weakref.ref(tensor))
        self.starts += 1
        if self.errors:
            raise self.errors.pop(0)
        return Ended("finished", "")


def train(training: Training, monkeypatch: pytest.MonkeyPatch, world_size: int = 1) -> Ended:
    monkeypatch.setattr(worker, "_train_to_end", training)
    return worker._train_with_one_retry({}, 0, world_size, Any)


def short() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory")


def test_a_run_that_is_short_of_memory_starts_once_more_from_its_last_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = Training(short())
    assert train(training, monkeypatch) == Ended("finished", "") and training.starts == 2


def test_a_second_lack_of_memory_another_error_and_one_of_several_ranks_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for training, world_size, starts in (
        (Training(short(), short()), 1, 2),
        (Training(RuntimeError("shapes do not match")), 1, 1),
        (Training(short()), 2, 1),
    ):
        with pytest.raises(RuntimeError):
            train(training, monkeypatch, world_size)
        assert training.starts == starts
