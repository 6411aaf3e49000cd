"""Speed and memory on a GPU: our step, compiled and not, beside the commonly written one."""

import time
from collections.abc import Callable
from typing import Any

import torch
from train_step import common_step, our_step

from common.device import fixed_shapes
from gan.config import DataConfig, GanConfig, NetworkConfig
from gan.training.compilation import compiled_passes
from gan.training.passes import UNCOMPILED

ROUNDS, STEPS_A_ROUND = 5, 20


def speed(side: int, device: torch.device, backend: str, figures: dict[str, Any]) -> None:
    """Images/s and peak memory of a step at `side` pixels, width 64, batch 64; cost and savings of compiling.

    `compile_s` and `saved_ms` are the numbers of `gan.training.compilation.Payoff`.
    """
    is_gpu = device.type == "cuda"
    config = GanConfig(
        data=DataConfig(resolution=side),
        network=NetworkConfig(width=64 if is_gpu else 8, upsampling="transposed"),  # as the plain loop
        batch=64 if is_gpu else 8,
    )
    candidates: dict[str, Callable[[], Callable[[], None]]] = {
        "common": lambda: common_step(config, device),
        "plain": lambda: our_step(config, device, UNCOMPILED),
        "compiled": lambda: our_step(config, device, compiled_passes(device.type, backend)),
    }
    steps = {}
    for name, build in candidates.items():
        begun = torch.cuda.memory_allocated() if is_gpu else 0
        if is_gpu:
            torch.cuda.reset_peak_memory_stats()
        steps[name] = build()
        figures[f"{name}_first_s"] = round(_seconds(steps[name], 1, device, name), 3)
        _seconds(steps[name], 2, device, name)
        if is_gpu:
            peak = torch.cuda.max_memory_allocated() - begun
            figures[f"{name}_peak_mib"] = round(peak / 2**20, 1)
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(ROUNDS if is_gpu else 1):
        for name, step in steps.items():
            count = STEPS_A_ROUND if is_gpu else 1
            best[name] = min(best[name], _seconds(step, count, device, name) / count)
    for name, seconds in best.items():
        figures[f"{name}_images_per_s"] = round(config.batch / seconds, 1)
    saved_s = best["plain"] - best["compiled"]
    figures["ours_over_common"] = round(best["common"] / min(best["plain"], best["compiled"]), 3)
    figures["compile_s"] = round(figures["compiled_first_s"] - figures["plain_first_s"], 1)
    figures["saved_ms"] = round(1000 * saved_s, 3)
    figures["steps_that_pay"] = round(figures["compile_s"] / saved_s) if saved_s > 0 else None


def _seconds(step: Callable[[], None], count: int, device: torch.device, name: str) -> float:
    """Seconds of so many steps; ours choose their kernels, as in a run."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(count):
        if name == "common":
            step()
        else:
            with fixed_shapes():
                step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began
