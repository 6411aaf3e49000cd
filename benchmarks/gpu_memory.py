"""Memory of a GPU: who opens one, the share of a process, and what a lack of memory leaves."""

import concurrent.futures
import contextlib
import itertools
import multiprocessing
import tempfile
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from gpu_setting import Figures, Setting, check, images, run_out_of_memory
from gpu_training import TOLERANCES, config_of, trained
from torch import Tensor, nn

from common import memory
from gan.metrics.preparation import prepare_metric
from gan.training.run import GanRun
from tune.worker_groups.messages import WorkerCommand
from tune.worker_groups.session import WorkerSession


def _apart(function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result(timeout=100)


def driver_opens_no_gpu(setting: Setting, figures: Figures) -> None:
    """A driver prepares the metric without opening a GPU."""
    assert not _apart(prepared_by_a_driver), "the driver has opened the GPU"


def prepared_by_a_driver() -> bool:
    """Prepare the default metric; returns whether CUDA is open then."""
    with tempfile.TemporaryDirectory() as folder:
        prepare_metric(config_of(**{"evaluation.metric": "fd_compact", "data.cache": folder}), images(16))
    return torch.cuda.is_initialized()


def memory_share(setting: Setting, figures: Figures) -> None:
    """With a quarter of a GPU a process gets less than a quarter of its memory, and its own error."""
    if setting.device.type == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        free = torch.cuda.mem_get_info()[0]
        got, free_with_context = _apart(filled_share, 0.25)
        figures["context_mib"] = round((free - free_with_context) / 2**20)
        check(figures, "share", got / total, 0.25)
        assert got / total > 0.1, "its share is too small"


def filled_share(share: float) -> tuple[int, int]:
    """Bytes that a process with this share of a GPU gets, and how many were free when it had none yet."""
    device = torch.device("cuda", 0)
    nn.Conv2d(3, 8, 3, device=device)(torch.zeros(1, 3, 16, 16, device=device)).sum().backward()
    free = torch.cuda.mem_get_info()[0]
    memory.limit_to_share(share, device)
    kept: list[Tensor] = []
    with contextlib.suppress(torch.OutOfMemoryError):
        while True:
            kept.append(torch.empty(2**28, dtype=torch.uint8, device=device))
    return sum(len(each) for each in kept), free


def memory_comes_back(setting: Setting, figures: Figures) -> None:
    """After a lack of memory what the failed attempt held is free, although the error is still at hand."""
    if setting.device.type != "cuda":
        return

    def attempt() -> None:
        held = torch.empty(2**29, dtype=torch.uint8, device=setting.device)
        held.zero_()
        run_out_of_memory(setting.device)

    memory.release()
    before = torch.cuda.memory_reserved()
    try:
        attempt()
    except torch.OutOfMemoryError as error:
        figures["held_mib"] = (torch.cuda.memory_reserved() - before) // 2**20
        memory.release(error)
        check(figures, "kept_mib", (torch.cuda.memory_reserved() - before) / 2**20, 1)


def tick_is_repeated_once(setting: Setting, figures: Figures) -> None:
    """A trial that runs out of memory once goes on with the numbers that it would have had."""
    expected = trained(config_of(), setting.device).row
    session = WorkerSession(images(16), setting.device, 0, 1)
    session.keeps_state = True
    session.execute(WorkerCommand("begin", config=config_of()))
    tick, times = GanRun.tick, itertools.count()

    def short_of_memory(run: GanRun) -> dict[str, float]:
        row = tick(run)  # the state has moved
        if next(times) == 0:
            run_out_of_memory(setting.device)
        return row

    with mock.patch.object(GanRun, "tick", short_of_memory):
        found = session.execute(WorkerCommand("tick")).metrics
    assert next(times) == 2 and found["images_seen"] == expected["images_seen"]
    error = abs(found["generator_loss"] - expected["generator_loss"])
    check(figures, "generator_loss", error, TOLERANCES["fp32"]["loss"])
