"""Measures what memory training steps take, in a process of its own; a program, not a test itself.

    python tests/gan/costs/measured.py '{"batch": 128}' fp32 returned

prints in bytes how much more memory was resident at the peak of three steps and of a tick's sampling than
before. `returned`: freed memory goes back to the kernel at once; `kept`: it stays, as in a run.
"""

import dataclasses
import gc
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import numpy as np
import torch

from common.device import keep_freed_memory, return_freed_memory
from gan.config import GanConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.generation import images_at_once, sample_on_device
from gan.training.balance import Turn
from gan.training.passes import UNCOMPILED
from gan.training.players import build_players
from gan.training.regularizing import Regularizing
from gan.training.step import step_settings, train_step

CPU = torch.device("cpu")


def main(config: GanConfig, dtype: torch.dtype | None) -> int:
    # kernels, threads and libraries are loaded by a run that needs hardly any memory of its own
    together = 2 * config.network.images_judged_together()
    small = {"network.width": 2, "network.latent_size": 4, "evaluation.metric_images": 16}
    train(config.with_values(small | {"batch": max(8, together)}), dtype)
    gc.collect()
    before = resident("VmRSS")
    train(config, dtype)
    return resident("VmHWM") - before


def train(config: GanConfig, dtype: torch.dtype | None) -> None:
    side = config.data.resolution
    black = np.zeros((4 * config.batch, 1, 1, 3), np.uint8)
    images = Images(
        train=np.broadcast_to(black, (len(black), side, side, 3)),
        held_out=np.broadcast_to(black, (len(black), side, side, 3)),
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint="",
    )
    players = build_players(config, channels=3, device=CPU)
    settings = dataclasses.replace(step_settings(config, device=CPU, world_size=1), autocast_dtype=dtype)
    regularizing = Regularizing(config, images, ranks=Ranks(), device=CPU)
    for step in range(3):
        real = torch.rand(config.batch, 3, side, side).to(memory_format=torch.channels_last)
        latents = torch.randn(config.batch, config.network.latent_size)
        shares = torch.rand(config.batch // config.network.packing)
        turn = Turn(discriminator=True, generator=True)
        seen, batch = step * config.batch, config.batch
        done = regularizing.for_step(step, images_seen=seen, progress=0.0, batch=batch)
        train_step(players, real, latents, shares, settings, UNCOMPILED, who_trains=turn, regularization=done)
        del real, latents, shares, done
    count = config.evaluation.metric_images
    latents = torch.randn(count, config.network.latent_size)
    sample_on_device(players.ema, latents, dtype, batch=images_at_once(config))


def resident(name: str) -> int:
    """VmRSS: bytes that are resident now; VmHWM: the most that ever were.

    The peak is that of this program alone; `ru_maxrss` begins with that of the process that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    settings_text, precision, freed = sys.argv[1:]
    torch.set_num_threads(1)
    (keep_freed_memory if freed == "kept" else return_freed_memory)()
    print(
        main(GanConfig.from_dict(json.loads(settings_text)), torch.bfloat16 if precision == "bf16" else None)
    )
