"""Runs a function in two processes that share a gloo process group; no test itself."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing


def on_two_ranks(function: Callable[..., Any], *args: Any, folder: Path) -> list[Any]:
    """Call `function(rank, *args)` on two ranks; returns what each returned, which `torch.save` must take."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(_one_rank, (port, function, args, folder), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def _one_rank(
    rank: int, port: int, function: Callable[..., Any], args: tuple[Any, ...], folder: Path
) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    try:
        torch.save(function(rank, *args), folder / f"{rank}.pt")
    finally:
        dist.destroy_process_group()
