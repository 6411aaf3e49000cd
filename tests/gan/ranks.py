"""Runs a function in two processes that share a gloo process group; not a test itself."""

import functools
import multiprocessing
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def on_two_ranks(function: Callable[..., Any], *args: Any, folder: Path) -> list[Any]:
    """Call `function(rank, *args)` on two ranks; returns what each returned, which `torch.save` must take."""
    ranks = _ranks()
    calls = [each.submit(_one_rank, rank, function, args, folder) for rank, each in enumerate(ranks)]
    done, waiting = wait(calls, return_when=FIRST_EXCEPTION)
    if waiting:  # for a peer that has failed, perhaps for ever
        _ranks.cache_clear()
        for rank in ranks:
            for process in rank._processes.values():
                process.kill()
    for call in done:
        call.result()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@functools.cache
def _ranks() -> list[ProcessPoolExecutor]:
    """A process for each rank, which stays: PyTorch takes seconds to load."""
    spawn = multiprocessing.get_context("spawn")
    return [ProcessPoolExecutor(max_workers=1, mp_context=spawn) for _ in range(2)]


def _one_rank(rank: int, function: Callable[..., Any], args: tuple[Any, ...], folder: Path) -> None:
    torch.set_num_threads(1)
    # through a file: no port to lose to another process, no rank that must outlive the others
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    try:
        torch.save(function(rank, *args), folder / f"{rank}.pt")
        dist.barrier()
    finally:
        dist.destroy_process_group()
