"""Sweeps whose winners are trained again: what benchmarks of settings against each other have in common."""

import dataclasses
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from kept_results import Result, kept_result
from planted_runs import data_values

from gan.config import GanConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.metrics.config import CONFIRMATION_IMAGES
from gan.metrics.preparation import metric_of_run, prepare_metric
from gan.training.run import Diverged, GanRun
from tune.records.event_reading import read_events
from tune.records.export_best import best_config
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import collect

TICKS = 8
_FLAGS = {"data.source": "--data", "data.root": "--data-root"}


def swept(folder: Path, space: Path, trials: int, images: int, more: Sequence[str]) -> GanConfig:
    """The best settings that a sweep on CIFAR-10 finds, in which every trial sees equally many images.

    It is run, or continued, where it is not finished. more: further flags. Returns: with another seed.
    """
    tune = [sys.executable, "-m", "tune"]
    if not (folder / "sweep.json").exists():
        data = [word for path, value in data_values("cifar10").items() for word in (_FLAGS[path], str(value))]
        size = ["--trials", str(trials), "--images-per-trial", str(images)]
        where = ["--storage", str(folder.parent), "--name", folder.name]
        ticks = ["--images-per-tick", str(images // TICKS), "--scheduler", "none", "--space", str(space)]
        subprocess.run([*tune, "sweep", *data, *size, *ticks, *where, *more], check=True)
    else:
        subprocess.run([*tune, "resume", str(folder)], check=True)
    opened = SweepFolder.at(str(folder))
    return best_config(opened.config().gan, collect(read_events(opened.location)), keep_seed=False)


def prepare(config: GanConfig, images: Images) -> None:
    """Make ready what `measured` measures with."""
    prepare_metric(_by_classes(config), images)
    prepare_metric(config, images)


def trained_again(kept: str, name: str, config: GanConfig, images: Images, seeds: Sequence[int]) -> Result:
    """One configuration with each seed: mean and spread of what `measured` says, and the single results.

    kept: folder of results, see `kept_result`. name: what the lines that are printed call it.
    """
    results = []
    for seed in seeds:
        seeded = config.with_values({"seed": seed})
        results.append(kept_result(kept, seeded, lambda seeded=seeded: measured(seeded, images)))
        print(f"{name}, seed {seed}: {results[-1]}", flush=True)
    return row(results) | {"seeds": results}


def measured(config: GanConfig, images: Images) -> Result:
    """One run's last generator by each metric."""
    run, ticks = GanRun(config, images), []
    try:
        while not run.is_finished:
            ticks.append(run.tick())
            value = ticks[-1][config.evaluation.key()]
            print(f"  {run.images_seen:,} images: {config.evaluation.key()} {value:.1f}", flush=True)
    except Diverged as error:
        return {"diverged": error.reason, "after": run.images_seen}
    found = {name: value for name, value, _ in run.confirm()}
    metric = metric_of_run(_by_classes(config), images, device=run.device)
    samples = torch.from_numpy(run.samples(CONFIRMATION_IMAGES))
    found["kl"] = metric.distance(samples, Ranks())
    found |= {name: value for name, value in ticks[-1].items() if name.startswith("recall_")}
    return found | {"images_per_s": statistics.median(tick["images_per_s"] for tick in ticks)}


def row(results: list[Result]) -> dict[str, Any]:
    """Mean and standard deviation of each metric over the seeds that did not diverge."""
    finished = [result for result in results if "diverged" not in result]
    found: dict[str, Any] = {"finished": len(finished)}
    for name in finished[0] if finished else ():
        values = [result[name] for result in finished]
        found[name] = statistics.mean(values)
        found[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else None
    return found


def _by_classes(config: GanConfig) -> GanConfig:
    evaluation = dataclasses.replace(config.evaluation, metric="kl", metric_images=CONFIRMATION_IMAGES)
    return dataclasses.replace(config, evaluation=evaluation)
