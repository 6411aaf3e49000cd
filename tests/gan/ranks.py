"""Runs a function in two processes that share a gloo process group; not a test itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing


def on_two_ranks(function: Callable[..., Any], *args: Any, folder: Path) -> list[Any]:
    """Call `function(rank, *args)` on two ranks; returns what each returned, which `torch.save` must take."""
    torch.multiprocessing.spawn(_one_rank, (function, args, folder), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def _one_rank(rank: int, function: Callable[..., Any], args: tuple[Any, ...], folder: Path) -> None:
    torch.set_num_threads(1)
    # through a file: no port to lose to another process, no rank that must outlive the others
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    torch.save(function(rank, *args), folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
