"""A lack of memory is recognized, what failed is freed, and a share of a GPU is a limit."""

import weakref

import pytest
import torch

from common import memory
from common.memory import is_out_of_memory, limit_to_share, release

GIB = 2**30


class WrappedError(Exception):
    """An error that keeps its cause in an attribute, as the compiler's errors do."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__("compiling has failed")
        self.inner_exception = cause


def caught(error: BaseException) -> bool:
    """Whether an error counts as a lack of memory once it was raised and another followed from it."""
    try:
        try:
            raise error
        except BaseException as first:
            raise ValueError("something else") from first
    except ValueError as second:
        return is_out_of_memory(second)


def test_a_lack_of_memory_is_recognized_within_what_wraps_it() -> None:
    short = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    assert is_out_of_memory(short) and is_out_of_memory(WrappedError(short)) and caught(short)
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    other = RuntimeError("shapes do not match")
    assert not is_out_of_memory(other) and not is_out_of_memory(WrappedError(other)) and not caught(other)
    other.__cause__ = other  # a circle must end
    assert not is_out_of_memory(other)


def test_a_caught_error_keeps_nothing_once_its_memory_is_released() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def attempt() -> None:
        tensor = torch.zeros(1000)
        held.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("out of memory")

    try:
        attempt()
    except torch.OutOfMemoryError as error:
        assert held[0]() is not None
        release(error)
        assert held[0]() is None
        assert str(error) == "out of memory"


def test_a_share_of_a_gpu_is_its_limit_less_what_the_context_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    properties = type("Properties", (), {"total_memory": 80 * GIB})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, device: limits.append(share)
    )
    gpu = torch.device("cuda", 0)
    for share in (0.5, 0.25, 0.001):
        limit_to_share(share, gpu)
    assert limits[0] == pytest.approx(0.5 - memory.CONTEXT_BYTES / (80 * GIB))
    assert 2 * (limits[0] * 80 * GIB + memory.CONTEXT_BYTES) == pytest.approx(80 * GIB)
    assert limits[1] < 0.25 and limits[2] == pytest.approx(0.0005)
    for share in (0.0, 1.0, 2.0):
        limit_to_share(share, gpu)
    limit_to_share(0.5, torch.device("cpu"))
    assert len(limits) == 3
