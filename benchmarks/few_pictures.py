"""What does augmentation bring to a few hundred pictures, and does the generator copy them?

    python benchmarks/few_pictures.py FOLDER [--pictures N] [--images N] [--seeds 0 1 2] [SETTING=VALUE ...]

Trains on some pictures of a folder, at 64 x 64 pixels, without augmentation and with several ways of
it. All other pictures of the folder are held out, so that the distance to what was never shown is measured
with certainty. Beside it stand the memorization ratio (distance of samples to the training pictures over that
of held-out ones: 0 copies, 1 as new) and how much the discriminator overfits. SETTING is the dotted path of
any setting. Results are kept in ~/.cache/artsweep/few-pictures by all settings; a grid of each run's samples
lies beside them. Prints one JSON object at the end.

A folder that serves: five classes of landscapes of Tiny-ImageNet, 2,500 photos (alp, cliff, coral reef,
lakeside and seashore; n09193705, n09246464, n09256479, n09332890, n09428293).
"""

import argparse
import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
from kept_results import CACHE, Result, kept_result
from stacked_mnist import changes_of
from trained_again import TICKS, row

from gan.config import GanConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.image_grid import png_bytes
from gan.metrics.preparation import prepare_metric
from gan.training.run import Diverged, GanRun

KEPT = "few-pictures"
ALL = "colour,translation,cutout"
WAYS: dict[str, dict[str, Any]] = {
    "none": {},
    "always": {"regularization.augment": ALL},
    "geometric": {"regularization.augment": "translation,cutout"},
    "adaptive": {"balance.policy": "adaptive"},
}
BASE: dict[str, Any] = {
    "data.resolution": 64,
    "network.width": 16,
    "batch": 32,
    "optimizer.generator_lr": 1e-3,
    "optimizer.discriminator_lr": 1e-3,
    "optimizer.beta1": 0.0,
    "stopping.when": "none",
}
SAID = ("fd_", "memorization_", "recall_", "coverage_", "discriminator_overfit", "augment_probability")


def few_of(images: Images, pictures: int) -> Images:
    """So many pictures to train on; all others are held out."""
    every = np.concatenate([images.train, images.held_out])
    if len(every) < 2 * pictures:
        raise SystemExit(f"FOLDER must hold at least {2 * pictures} pictures, not {len(every)}")
    return dataclasses.replace(
        images,
        train=every[:pictures],
        held_out=every[pictures:],
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        fingerprint=f"{images.fingerprint}-{pictures}-of-{len(every)}",
    )


def trained(config: GanConfig, images: Images, picture: Path) -> Result:
    """One run's last values, its lowest distance, and the distance measured again on 5,000 samples."""
    run, ticks = GanRun(config, images), []
    try:
        while not run.is_finished:
            ticks.append(run.tick())
            print(f"  {run.images_seen:,} images: {said(ticks[-1])}", flush=True)
    except Diverged as error:
        return {"diverged": error.reason, "after": run.images_seen}
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(png_bytes(run.sample_grid()))
    lowest = min(tick[config.evaluation.key()] for tick in ticks)
    again = {name: value for name, value, _ in run.confirm()}
    return said(ticks[-1]) | again | {"lowest": lowest}


def said(tick: dict[str, float]) -> Result:
    """The numbers of a tick that this benchmark is about."""
    return {name: round(value, 4) for name, value in tick.items() if name.startswith(SAID)}


def main() -> None:
    """Train with each way of augmentation and each seed, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("changes", nargs="*", metavar="SETTING=VALUE")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--images", type=int, default=64_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=list(WAYS))
    command = parser.parse_intermixed_args()
    size = {"images": command.images, "images_per_tick": command.images // TICKS}
    data = {"data.source": str(command.folder.resolve())}
    base = GanConfig().with_values({**data, **BASE, **size, **changes_of(command.changes)})
    images = few_of(load_images(base.data), command.pictures)
    prepare_metric(base, images)
    kept = f"{KEPT}/{command.pictures}-{images.fingerprint[:12]}"
    results: dict[str, list[Result]] = {way: [] for way in command.ways}
    for seed in command.seeds:
        for way in command.ways:
            print(f"{way}, seed {seed}", flush=True)
            config = base.with_values({**WAYS[way], "seed": seed})
            picture = CACHE / kept / f"{way}-{seed}.png"
            results[way].append(
                kept_result(kept, config, functools.partial(trained, config, images, picture))
            )
            print(f"  {results[way][-1]}", flush=True)
    table = {way: row(found) | {"seeds": found} for way, found in results.items()}
    print(json.dumps({"changes": command.changes, "images": command.images, "table": table}))


if __name__ == "__main__":
    main()
