"""Several GPUs, a rank each, train as one does."""

import math
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing
from gpu_setting import CPU, Figures, Setting, check
from gpu_training import STEPS, TOLERANCES, Trained, config_of, trained

from gan.config import GanConfig


def ranks(setting: Setting, figures: Figures) -> None:
    """As many ranks as there are GPUs end where one does."""
    count = torch.cuda.device_count() if setting.device.type == "cuda" else 2
    figures["ranks"] = count
    # each has its own images of the batch, and BatchNorm sees them all
    config = config_of(**{"network.sync_batch_norm": True, "batch": 16 * count, "images": STEPS * 16 * count})
    config = config.with_values({"images_per_tick": config.images})
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(one_rank, (count, setting.device.type, config, folder), nprocs=count)
        after = torch.load(Path(folder, "after.pt"), weights_only=True)
    expected = trained(config, CPU)
    check(figures, "weights", Trained({}, {}, after).error(expected), TOLERANCES["fp32"]["weights"])


def one_rank(rank: int, count: int, kind: str, config: GanConfig, folder: str) -> None:
    """One rank's part; the first saves the tensors."""
    device = torch.device(kind, rank) if kind == "cuda" else CPU
    if kind == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)
    dist.init_process_group(
        "nccl" if kind == "cuda" else "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=count,
    )
    total = torch.full((1000,), float(rank + 1), device=device)
    dist.all_reduce(total)
    assert math.isclose(float(total.mean()), count * (count + 1) / 2)
    run = trained(config, device, rank=rank, world_size=count)
    if rank == 0:
        torch.save(run.after, Path(folder, "after.pt"))
    dist.barrier()
    dist.destroy_process_group()
