"""The error that a rank gets when its peer has died, in two real processes."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

from gan.distributed import Ranks, is_loss_of_a_peer


def sum_with_the_dead(rank: int, folder: Path) -> None:
    """Rank 1 dies silently before a sum; rank 0 writes how the error that it gets is classified."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    ranks = Ranks(rank, 2)
    assert ranks.summed(torch.ones(1)).item() == 2
    if rank == 1:
        os._exit(0)
    try:
        ranks.summed(torch.ones(1))
    except Exception as error:
        (folder / "seen").write_text(str(is_loss_of_a_peer(error)))
    # a process that lost its peer may abort where Python takes gloo's threads down (torch 2.14)
    os._exit(0)


def test_the_death_of_a_peer_is_distinguished_from_faults_of_what_was_trained(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(sum_with_the_dead, (tmp_path,), nprocs=2)
    assert (tmp_path / "seen").read_text() == "True"
    with pytest.raises(ValueError) as dissolved:
        Ranks(0, 2).summed(torch.ones(1))
    assert is_loss_of_a_peer(dissolved.value), "the process group is gone"
    for fault in (RuntimeError("the device is on fire"), MemoryError(), ValueError("gloo/")):
        assert not is_loss_of_a_peer(fault)
