"""Which family makes the better pictures at 128 x 128 pixels in equal time, with as many parameters?

    python benchmarks/equal_time.py DATA [RUN ...] [--minutes N] [--width N] [--side N] [--seeds 0 ...]

DATA: shapes, or a folder of photos. RUN: of `RUNS`, by default all. Every family is so wide that both its
networks together have as many parameters as those of a DCGAN of `--width`, as nearly as its widths allow.
Each run trains on one thread until its steps have taken so many minutes of processor time, so that it does
not matter what else the machine does; measuring is not counted. The last generator is measured on 5,000
samples: by the objective, and by the other network.

A folder that serves: clothing-dataset-small, 3,781 photos of clothes (CC0).

Results are kept in ~/.cache/artsweep/equal-time by all settings, a grid of samples beside each. Prints one
JSON object at the end.
"""

import argparse
import functools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from kept_results import CACHE, Result, kept_result
from trained_again import row

from gan.config import GanConfig
from gan.costs.weightless import networks_on_meta
from gan.data.images import Images
from gan.data.loading import load_images
from gan.image_grid import png_bytes
from gan.metrics.preparation import prepare_metric
from gan.training.run import Diverged, GanRun

KEPT = "equal-time"
MOST_IMAGES, IMAGES_PER_TICK = 10_000_000, 8_192
WIDEST = 64
BASE: dict[str, Any] = {"batch": 32, "stopping.when": "none"}
NORMALIZED: dict[str, Any] = {"loss.name": "hinge", "network.spectral_norm": True}
WITH_R1: dict[str, Any] = {"network.minibatch_std": 4, "regularization.r1": 0.1}


def _rates(rate: float) -> dict[str, Any]:
    return {"optimizer.generator_lr": rate, "optimizer.discriminator_lr": rate, "optimizer.beta1": 0.0}


RUNS: dict[str, dict[str, Any]] = {
    "dcgan": {"network.family": "dcgan"},
    "dcgan-normalized": {"network.family": "dcgan", **NORMALIZED, **_rates(2e-3)},
    "resnet": {"network.family": "resnet", **NORMALIZED, **_rates(1e-3)},
    "progressive": {
        "network.family": "progressive",
        "network.stable_images": 3_000,
        "network.fade_images": 3_000,
        **WITH_R1,
        **_rates(5e-3),
    },
    "msg": {"network.family": "msg", **WITH_R1, **_rates(3e-3)},
    "style": {"network.family": "style", **WITH_R1, **_rates(3e-3)},
}
"""What is trained. The first is plain: the base settings of this project, which are those of its paper."""


def parameters(config: GanConfig, channels: int) -> int:
    """Numbers that both networks learn."""
    networks = networks_on_meta(config, channels=channels)
    return sum(each.numel() for network in networks for each in network.parameters())


def of_equal_size(config: GanConfig, goal: int, channels: int) -> GanConfig:
    """The configuration with the width whose number of parameters is nearest, as a ratio, to the goal."""

    def apart(width: int) -> float:
        ratio = parameters(config.with_values({"network.width": width}), channels) / goal
        return max(ratio, 1 / ratio)

    return config.with_values({"network.width": min(range(1, WIDEST + 1), key=apart)})


def trained(config: GanConfig, images: Images, seconds: float, picture: Path) -> Result:
    """One run's distances after so many seconds of processor time in its steps."""
    run, values = GanRun(config, images), list[float]()
    try:
        for spent, tick in _ticks(run):
            values.append(tick[config.evaluation.key()])
            print(f"  {run.images_seen:,} images, {spent:.0f} s: {values[-1]:.1f}", flush=True)
            picture.write_bytes(png_bytes(run.sample_grid()))
            if spent >= seconds:
                break
    except Diverged as error:
        return {"diverged": error.reason, "after": run.images_seen}
    again = {name: value for name, value, _ in run.confirm()}
    return again | {"lowest": min(values), "images": run.images_seen}


def _ticks(run: GanRun) -> Iterator[tuple[float, dict[str, float]]]:
    """Ticks, each with the processor time that all steps until then have taken."""
    spent = 0.0
    while not run.is_finished:
        begun = time.process_time()
        tick = run.tick()
        of_steps = tick["train_s"] / (tick["train_s"] + tick["evaluate_s"])
        spent += (time.process_time() - begun) * of_steps
        yield spent, tick


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("runs", nargs="*", metavar="RUN", default=list(RUNS))
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    command = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    source = command.data if command.data == "shapes" else str(Path(command.data).resolve())
    data = {"data.source": source, "data.resolution": command.side}
    size = {"images": MOST_IMAGES, "images_per_tick": IMAGES_PER_TICK}
    plain = GanConfig().with_values({**data, **BASE, **size, "network.width": command.width})
    images = load_images(plain.data)
    goal = parameters(plain, images.channels)
    prepare_metric(plain, images)
    kept = f"{KEPT}/{images.fingerprint[:12]}-{command.minutes:g}"
    table = {}
    for name in command.runs:
        config = of_equal_size(plain.with_values(RUNS[name]), goal, images.channels)
        count = parameters(config, images.channels)
        print(f"{name}: width {config.network.width}, {count:,} parameters", flush=True)
        results = []
        for seed in command.seeds:
            seeded = config.with_values({"seed": seed})
            picture = CACHE / kept / f"{name}-{seed}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            train = functools.partial(trained, seeded, images, command.minutes * 60, picture)
            results.append(kept_result(kept, seeded, train))
            print(f"  seed {seed}: {results[-1]}", flush=True)
        table[name] = {"width": config.network.width, "parameters": count} | row(results)
    print(json.dumps({"data": command.data, "minutes": command.minutes, "table": table}))


if __name__ == "__main__":
    main()
