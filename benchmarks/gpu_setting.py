"""Where the cases of `gpu.py` run, their pictures, and how they compare numbers."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan.data.images import Images

Figures = dict[str, Any]
CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """Where the cases run, and how large they are."""

    device: torch.device
    backend: str
    """What compiles: Inductor on a GPU; on a CPU a backend that needs no C++ compiler."""
    sides: tuple[int, int]
    """Sides in pixels of the two stylized pictures."""
    enlarged: int
    """How many times as large a picture is before it is shrunk in one go."""


GPU = Setting(device=torch.device("cuda"), backend="inductor", sides=(512, 4096), enlarged=64)
SMALL = Setting(device=CPU, backend="aot_eager", sides=(32, 64), enlarged=8)


def check(figures: Figures, name: str, value: float, most: float) -> None:
    """Note a figure, and raise an error unless it is at most `most`; NaN is not."""
    figures[name] = round(float(value), 9) if math.isfinite(value) else str(value)  # JSON has no NaN
    if not value <= most:
        raise AssertionError(f"{name} is {value:.3g}, more than {most:.3g}")


def distance(found: Tensor, expected: Tensor) -> float:
    """Distance over the length of what is expected."""
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    return float((found - expected).norm() / expected.norm().clamp_min(1e-30))


def pictures(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Squares of random colours, uint8 (count, side, side, 3)."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return colours.repeat(side // 4, axis=1).repeat(side // 4, axis=2)


def images(side: int, count: int = 200) -> Images:
    """Pictures with labels, half of them held out."""
    pixels = pictures(2 * count, side)
    labels = np.arange(2 * count) % 4
    return Images(
        train=pixels[:count],
        held_out=pixels[count:],
        train_labels=labels[:count],
        held_out_labels=labels[count:],
        class_names=("a", "b", "c", "d"),
        skipped=(),
        fingerprint=f"gpu-check-{side}-{count}",
    )


def seconds_of(function: Callable[[], object]) -> float:
    """Seconds that a function takes, with what it has left to the GPU."""
    began = time.perf_counter()
    function()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def run_out_of_memory(device: torch.device) -> None:
    """Raise the device's own error, or one that says so."""
    if device.type == "cuda":
        torch.empty(2**50, dtype=torch.uint8, device=device)
    raise torch.OutOfMemoryError("out of memory, planted")
