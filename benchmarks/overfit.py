"""Can every family learn 64 pictures by heart? One that cannot has a fault in its networks or its step.

    python benchmarks/overfit.py [FAMILY ...] [--images N] [--width N] [--seed N] [SETTING=VALUE ...]

Trains each family on 64 pictures of CIFAR-10 at 32 x 32 and measures how far its samples are from those same
pictures, beside how far 64 other pictures of CIFAR-10 are from them: what learns by heart comes below that.
SETTING is the dotted path of any setting. Results are kept in ~/.cache/artsweep/overfit by all settings.
Writes a grid of samples of each family, and one of the pictures, beside them. Prints one JSON object.
"""

import argparse
import dataclasses
import functools
import json
from typing import Any

import numpy as np
import torch
from kept_results import CACHE, Result, kept_result
from planted_runs import data_values
from stacked_mnist import changes_of

from gan.config import GanConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.distributed import Ranks
from gan.image_grid import grid, png_bytes
from gan.metrics.preparation import metric_of_run, prepare_metric
from gan.networks.families import FAMILIES
from gan.training.run import Diverged, GanRun

KEPT, PICTURES, TICKS, COLUMNS = "overfit", 64, 8, 8
BASE: dict[str, Any] = {
    "batch": 16,
    "optimizer.generator_lr": 2e-3,
    "optimizer.discriminator_lr": 2e-3,
    "optimizer.beta1": 0.0,
    "regularization.r1": 1.0,
    "stopping.when": "none",
}
"""Without R1, or with a tenth of it, the discriminator of `dcgan` overfits and its generator drifts away from
the pictures: 320 to 350 after 96,000 images at width 16, and rising. With this 185 after 64,000 at width 48,
and falling."""
OWN: dict[str, dict[str, Any]] = {
    "progressive": {"network.stable_images": 4_000, "network.fade_images": 4_000},
}
"""What a family needs beside: growth that is over early."""


def few_of(images: Images) -> tuple[Images, np.ndarray]:
    """The first 64 pictures, to train on and to be measured against, and 64 others.

    They are held out 32 times each, so that as many are measured as by default.
    """
    few, others = images.train[:PICTURES], images.train[PICTURES : 2 * PICTURES]
    labels = None if images.train_labels is None else images.train_labels[:PICTURES]
    same = dataclasses.replace(
        images,
        train=few,
        train_labels=labels,
        held_out=few.repeat(32, axis=0),
        held_out_labels=None if labels is None else labels.repeat(32),
        fingerprint=f"{images.fingerprint}-first-{PICTURES}",
    )
    return same, others


def trained(config: GanConfig, images: Images, others: np.ndarray) -> Result:
    """One run's distance from its pictures after every tick, and that of other pictures."""
    run, name, values = GanRun(config, images), config.evaluation.key(), list[float]()
    metric = metric_of_run(config, images, device=run.device)
    shown = torch.from_numpy(others.repeat(-(-metric.num_images // PICTURES), axis=0)[: metric.num_images])
    found: Result = {"of_others": metric.distance(shown, Ranks())}
    try:
        while not run.is_finished:
            row = run.tick()
            values.append(row[name])
            print(f"  {run.images_seen:,} images: {name} {row[name]:.1f}", flush=True)
    except Diverged as error:
        found["diverged"] = error.reason
    folder = CACHE / KEPT
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{config.network.family}.png").write_bytes(png_bytes(run.sample_grid()))
    (folder / "pictures.png").write_bytes(png_bytes(grid(images.train, columns=COLUMNS)))
    return found | {"by_tick": values, "distance": values[-1], "best": min(values)}


def main() -> None:
    """Train the families that the command line names, and print their distances."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="FAMILY or SETTING=VALUE")
    parser.add_argument("--images", type=int, default=256_000)
    parser.add_argument("--width", type=int, default=48)  # at 16 its generator has fewer numbers than they
    parser.add_argument("--seed", type=int, default=0)
    command = parser.parse_intermixed_args()
    changes = changes_of([word for word in command.words if "=" in word])
    families = [word for word in command.words if "=" not in word] or list(FAMILIES)
    size = {"images": command.images, "images_per_tick": command.images // TICKS, "seed": command.seed}
    configs = {
        family: GanConfig().with_values(
            {
                **data_values("cifar10"),
                **BASE,
                **size,
                "network.family": family,
                "network.width": command.width,
                **OWN.get(family, {}),
                **changes,
            }
        )
        for family in families
    }
    images, others = few_of(load_images(configs[families[0]].data))
    table = {}
    for family, config in configs.items():
        prepare_metric(config, images)
        print(family, flush=True)
        train = functools.partial(trained, config, images, others)
        table[family] = kept_result(KEPT, config, train)
        distance, of_others = table[family]["distance"], table[family]["of_others"]
        print(f"  {distance:.1f}, other pictures {of_others:.1f}", flush=True)
    print(json.dumps({"changes": changes, "images": command.images, "table": table}))


if __name__ == "__main__":
    main()
