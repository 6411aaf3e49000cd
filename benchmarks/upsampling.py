"""What each kind of upsampling costs, and what it does to quality and to checkerboards.

    python benchmarks/upsampling.py [FOLDER [DATA [IMAGES]]]

Trains a generator of each kind on DATA at 32 x 32 (CIFAR-10 beside the checkout, else the built-in shapes),
width 32, batch 64 and 48,000 images: at equal learning rates and with a fast generator, with two seeds.
`slower` is the processor time of a step over that of the transposed convolution, medians of steps in turns.
`in_the_same_time` is the quality by the time at which the transposed convolution is finished. `energy_2` and
`energy_4` are the power that repeats every 2 and 4 pixels over that of real pictures: 1 is right, more is a
checkerboard, less is blur. The grids of samples are kept in FOLDER. DATA: cifar10, mnist, shapes, or a folder
of photos, which are shown at 64 pixels. Takes a quarter of an hour on 2 cores; prints one JSON object at the
end.
"""

import json
import statistics
import sys
import time
import typing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from objective import data_config
from PIL import Image
from train_step import our_step

from gan.config import DataConfig, GanConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.distributed import Ranks
from gan.metrics.preparation import metric_of_run
from gan.networks.families.dcgan import Upsampling
from gan.training.passes import UNCOMPILED
from gan.training.run import GanRun

CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10"
KINDS: tuple[str, ...] = typing.get_args(Upsampling)
RATES = {"equal": (2e-4, 2e-4), "fast_generator": (1.7e-3, 2e-4)}
SEEDS = (0, 1)
IMAGES, TICKS = 48_000, 6
JUDGE = "fd_compact"
"""A second network beside the default objective."""
SAMPLES, TURNS = 1000, 40


def main() -> None:
    """Run the experiment and print its JSON object."""
    folder, name, count = (*sys.argv[1:], *(None,) * 3)[:3]
    name = name or ("cifar10" if CIFAR10.exists() else "shapes")
    data = data_config(name)
    images = load_images(data)
    slower = step_times(config_of(data, "transposed", RATES["equal"], 0))
    results: dict[str, Any] = {"data": Path(name).name, "slower": slower}
    print(results, flush=True)
    for rates_name, rates in RATES.items():
        results[rates_name] = {kind: [] for kind in KINDS}
        for seed in SEEDS:
            for kind in KINDS:
                config = config_of(data, kind, rates, seed, images=int(count or IMAGES))
                grid = None if folder is None else Path(folder) / f"{rates_name}-{seed}-{kind}.png"
                results[rates_name][kind].append(figures(config, images, slower[kind], grid))
                print(rates_name, f"seed {seed}", kind, results[rates_name][kind][-1], flush=True)
    print(json.dumps(results))


def config_of(
    data: DataConfig, kind: str, rates: tuple[float, float], seed: int, *, images: int = IMAGES
) -> GanConfig:
    """The run of one kind."""
    whole = GanConfig(data=data, batch=64, images=images, images_per_tick=images // TICKS, seed=seed)
    return whole.with_values(
        {
            "network.width": 32,
            "network.upsampling": kind,
            "optimizer.generator_lr": rates[0],
            "optimizer.discriminator_lr": rates[1],
        }
    )


def step_times(config: GanConfig) -> dict[str, float]:
    """The time of a step of each kind over that of the transposed convolution.

    Processor time, since other programs slow each step by another factor.
    """
    device = torch.device("cpu")
    steps = {
        kind: our_step(config.with_values({"network.upsampling": kind}), device, UNCOMPILED) for kind in KINDS
    }
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(TURNS):
        for kind, step in steps.items():
            began = time.process_time()
            step()
            taken[kind].append(time.process_time() - began)
    medians = {kind: statistics.median(seconds) for kind, seconds in taken.items()}
    return {kind: round(seconds / medians["transposed"], 3) for kind, seconds in medians.items()}


def figures(config: GanConfig, images: Images, slower: float, grid: Path | None) -> dict[str, float]:
    """Quality by two networks and checkerboards of one trained generator."""
    run = GanRun(config, images)
    values = []
    while not run.is_finished:
        values.append(run.tick()[config.evaluation.key()])
    samples = run.samples(SAMPLES)
    judge = metric_of_run(config.with_values({"evaluation.metric": JUDGE}), images, device="cpu")
    if grid is not None:
        grid.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(run.sample_grid().squeeze()).save(grid)
    # between two ticks interpolated
    in_the_same_time = np.interp(len(values) / slower, range(1, len(values) + 1), values)
    found = {
        config.evaluation.key(): values[-1],
        "in_the_same_time": float(in_the_same_time),
        judge.name: judge.measure(torch.from_numpy(samples), Ranks(0, 1))[judge.name],
    }
    for period in (2, 4):
        found[f"energy_{period}"] = energy(samples, period) / energy(images.train[:SAMPLES], period)
    return {name: round(value, 2) for name, value in found.items()}


def energy(pictures: np.ndarray, period: int) -> float:
    """Mean power at the frequencies that repeat every `period` pixels, not more often, along an axis or both.

    pictures: uint8 (N, H, W, C), H = W.
    """
    power = (np.abs(np.fft.fft2(pictures / 127.5 - 1, axes=(1, 2))) ** 2).mean(axis=(0, 3))
    step = len(power) // period
    repeats = np.zeros_like(power, dtype=bool)
    repeats[::step, ::step] = True
    repeats[:: 2 * step, :: 2 * step] = False
    return float(power[repeats].mean())


if __name__ == "__main__":
    main()
