"""A plain DCGAN on CIFAR-10 that is left to run until it decays: when is it stopped, and what does it keep?

    python benchmarks/decaying_run.py [--rate LR] [--seed N] [--images N] [--images-per-tick N]

Trains by `python -m gan train` with both learning rates far too high, so that the run decays within minutes
as others do within hours: BatchNorm, no regularizer, no balance policy. It must be stopped soon after its
best tick, for its decay or for the discriminator's lead from which that comes, and the exported generator
must be that of its best tick. A run trained before is only read again, from ~/.cache/artsweep/decaying-run.
Prints one JSON object at the end.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

import torch
from kept_results import CACHE
from planted_runs import data_values

from common.storage.folder import Folder
from gan import checkpoint
from gan.run_folder import BEST, GENERATOR, RunFolder, best_row
from gan.training.health.signals import smoothed

WIDTH, METRIC_IMAGES = 16, 5_000
KEY = "fd_lite0_5k"


def run_folder(rate: float, seed: int, images: int, images_per_tick: int) -> RunFolder:
    """The folder of the run, which is trained where it is not there."""
    storage = CACHE / "decaying-run"
    name = f"rate-{rate:g}-seed-{seed}-images-{images}-tick-{images_per_tick}"
    if not (storage / name / "history.csv").exists():
        settings = {
            "--data": data_values("cifar10")["data.source"],
            "--width": WIDTH,
            "--generator-lr": rate,
            "--discriminator-lr": rate,
            "--images": images,
            "--images-per-tick": images_per_tick,
            "--metric-images": METRIC_IMAGES,
            "--seed": seed,
            "--stop-when": "diverged,mode_collapse,decayed,discriminator_won",
            "--storage": storage,
            "--name": name,
        }
        words = [str(word) for pair in settings.items() for word in pair]
        subprocess.run([sys.executable, "-m", "gan", "train", *words], check=True)
    return RunFolder(Folder(str(storage)).child(name))


def exported_at(folder: RunFolder) -> int:
    """After how many images the exported generator was taken."""
    state, generator = folder.folder.read(BEST), folder.folder.read(GENERATOR)
    assert state is not None and generator is not None
    best = checkpoint.from_bytes(state)
    weights = checkpoint.generator_from_bytes(generator).tensors
    expected = checkpoint.generator_of(best).tensors
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    return int(best.meta["images_seen"])


def last_as_good(history: list[dict[str, Any]]) -> int:
    """After how many images the smoothed distance was last within the noise floor of its lowest."""
    values = smoothed([row[KEY] for row in history])
    bound = min(values) + history[-1][f"{KEY}_noise"]
    return int(max(row["images_seen"] for row, value in zip(history, values, strict=True) if value <= bound))


def main() -> None:
    """Train, and say when the run was stopped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=2_000_000)
    parser.add_argument("--images-per-tick", type=int, default=4_000)
    command = parser.parse_args()
    folder = run_folder(command.rate, command.seed, command.images, command.images_per_tick)
    history = folder.history()
    best, last = best_row(history, KEY), history[-1]
    exported, stopped, as_good = exported_at(folder), last["images_seen"], last_as_good(history)
    at_best = next(row for row in history if row["images_seen"] == exported)
    print(
        json.dumps(
            {
                "rate": command.rate,
                "seed": command.seed,
                "best_at": best["images_seen"],
                "exported_at": exported,
                "exported": at_best[KEY],
                "lowest": min(row[KEY] for row in history),
                "lowest_at": min(history, key=lambda row: row[KEY])["images_seen"],
                "last_as_good_at": as_good,
                "stopped_at": stopped,
                "last": last[KEY],
                "images_after_best": stopped / best["images_seen"] - 1,
                "images_after_last_as_good": stopped / as_good - 1,
                "noise_floor": last[f"{KEY}_noise"],
            }
        )
    )


if __name__ == "__main__":
    main()
