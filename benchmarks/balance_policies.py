"""What does balance bring? A sweep over balance policies and regularizers, and its winner trained again.

    python benchmarks/balance_policies.py [--trials N] [--trial-images N] [--images N] [--seeds 0 1 2]

First a sweep over `examples/balance.toml` on CIFAR-10, in which every trial sees equally many images
(`--scheduler none`). Then four configurations are trained anew, each for every seed and for equally many
images: the sweep's winner; the same learning rates and loss without policy and regularizers (`none`); the
rates of the DCGAN paper (Radford et al. 2015), both 2e-4, without policy; and the same with each policy at
its defaults. The last generator of each is measured on 5,000 samples: by the objective, by the network that
the search has not minimized, and by the KL divergence of its classes from those of the training images.

The sweep and all results are kept in ~/.cache/artsweep/balance-policies, so that a benchmark that was stopped
goes on. Prints one JSON object at the end.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from kept_results import CACHE, Result, kept_result
from planted_runs import data_values

from gan.config import GanConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.distributed import Ranks
from gan.metrics.config import CONFIRMATION_IMAGES
from gan.metrics.preparation import metric_of_run, prepare_metric
from gan.training.run import Diverged, GanRun
from tune.records.event_reading import read_events
from tune.records.export_best import best_config
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import collect

KEPT = "balance-policies"
SPACE = Path(__file__).parents[1] / "examples" / "balance.toml"
WIDTH, TICKS = 16, 8
PLAIN: dict[str, Any] = {"balance.policy": "none"} | dict.fromkeys(
    ("regularization.instance_noise", "regularization.r1", "network.minibatch_std"), 0
)
PLAIN |= {"regularization.augment": "none", "network.packing": 1}
PAPER: dict[str, Any] = {"optimizer.generator_lr": 2e-4, "optimizer.discriminator_lr": 2e-4}
POLICIES = ("accuracy", "margin", "adaptive")


def swept(trials: int, images: int) -> GanConfig:
    """The settings of the best trial of the sweep, which is run, or continued, where it is not finished."""
    folder = CACHE / KEPT / f"sweep-{trials}-{images}"
    tune = [sys.executable, "-m", "tune"]
    if not (folder / "sweep.json").exists():
        data = [word for path, value in data_values("cifar10").items() for word in (_flag(path), str(value))]
        size = ["--trials", str(trials), "--images-per-trial", str(images), "--width", str(WIDTH)]
        where = ["--storage", str(folder.parent), "--name", folder.name]
        ticks = ["--images-per-tick", str(images // TICKS), "--scheduler", "none", "--space", str(SPACE)]
        subprocess.run([*tune, "sweep", *data, *size, *ticks, *where], check=True)
    else:
        subprocess.run([*tune, "resume", str(folder)], check=True)
    opened = SweepFolder.at(str(folder))
    return best_config(opened.config().gan, collect(read_events(opened.location)), keep_seed=False)


def _flag(path: str) -> str:
    return {"data.source": "--data", "data.root": "--data-root"}[path]


def candidates(best: GanConfig) -> dict[str, GanConfig]:
    """What is compared, by name."""
    paper = best.with_values({**PLAIN, **PAPER})
    with_policy = {f"paper's rates, {name}": paper.with_values({"balance.policy": name}) for name in POLICIES}
    return {
        "best found": best,
        "its rates, none": best.with_values(PLAIN),
        "paper's rates, none": paper,
        **with_policy,
    }


def measured(config: GanConfig, images: Images) -> Result:
    """One run's last generator by each metric."""
    run = GanRun(config, images)
    try:
        while not run.is_finished:
            run.tick()
    except Diverged as error:
        return {"diverged": error.reason, "after": run.images_seen}
    found = {name: value for name, value, _ in run.confirm()}
    by_classes = dataclasses.replace(config.evaluation, metric="kl", metric_images=CONFIRMATION_IMAGES)
    metric = metric_of_run(dataclasses.replace(config, evaluation=by_classes), images, device=run.device)
    samples = torch.from_numpy(run.samples(CONFIRMATION_IMAGES))
    return {**found, "kl": metric.distance(samples, Ranks())}


def row(results: list[Result]) -> dict[str, Any]:
    """Mean and standard deviation of each metric over the seeds that did not diverge."""
    finished = [result for result in results if "diverged" not in result]
    found: dict[str, Any] = {"finished": len(finished)}
    for name in finished[0] if finished else ():
        values = [result[name] for result in finished]
        found[name] = statistics.mean(values)
        found[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else None
    return found


def main() -> None:
    """Sweep, train again, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--trial-images", type=int, default=96_000)
    parser.add_argument("--images", type=int, default=192_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    command = parser.parse_args()
    size = {"images": command.images, "images_per_tick": command.images // TICKS}
    best = swept(command.trials, command.trial_images).with_values({**size, "stopping.when": "none"})
    images = load_images(best.data)
    by_classes = dataclasses.replace(best.evaluation, metric="kl", metric_images=CONFIRMATION_IMAGES)
    prepare_metric(dataclasses.replace(best, evaluation=by_classes), images)
    table = {}
    for name, config in candidates(best).items():
        results = []
        for seed in command.seeds:
            seeded = config.with_values({"seed": seed})
            results.append(kept_result(KEPT, seeded, lambda seeded=seeded: measured(seeded, images)))
            print(f"{name}, seed {seed}: {results[-1]}", flush=True)
        table[name] = row(results) | {"seeds": results}
    print(json.dumps({"best": best.to_dict(), "images": command.images, "table": table}))


if __name__ == "__main__":
    main()
