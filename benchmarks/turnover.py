"""Seconds between two trials: warm worker groups against Ray's pattern, `TorchTrainer` in a Tune function.

Both train the same tiny GAN for the same images with two workers a trial, in one run on one Ray. Prints the
figures and, as its last line, one JSON object: `warm_turnover_s`, the median time from the last tick of a
trial to the first training step of the next one in the same worker group; `nested_train_s`, the median time
from the start of a trial to its first training step in the nested pattern; and their ratio.
"""

import dataclasses
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import ray
import ray.train
import ray.tune
import tyro
from ray.train.torch import TorchTrainer
from ray.train.v2.api.config import RunConfig, ScalingConfig
from rich.console import Console

from common.cluster.session import start_ray
from gan.config import DataConfig, GanConfig, NetworkConfig
from gan.data.loading import load_images
from gan.training.run import GanRun
from tune.config import SweepConfig
from tune.display.view import SweepView
from tune.driver.plan import SweepPlan
from tune.driver.sweep import run_sweep
from tune.records.sweep_folder import SweepFolder
from tune.space.default import default_space

WORKERS = 2


@dataclasses.dataclass(frozen=True)
class Arguments:
    """How much is measured."""

    trials: int = 31
    """Trials on warm worker groups, under ASHA."""
    nested: int = 4
    """Trials of the nested pattern; each takes many seconds."""


def tiny_gan() -> GanConfig:
    """A GAN whose ticks take less time than what is measured."""
    return GanConfig(
        data=DataConfig(resolution=16, max_images=600, held_out=100),
        network=NetworkConfig(width=8, latent_size=16),
        batch=32,
        images=2048,
        images_per_tick=256,
        compile="off",
    )


def measure_warm(trials: int, storage: str) -> list[float]:
    """Turnovers of a sweep under ASHA in seconds, as its workers measured them."""
    config = SweepConfig(
        gan=tiny_gan(),
        name="warm",
        storage=storage,
        trials=trials,
        workers_per_trial=WORKERS,
        concurrent=1,
        grace_ticks=1,
        search="random",
    )
    folder = SweepFolder(config.storage, "warm")
    space = default_space()
    plan = SweepPlan(config=config, space=space, folder=folder)
    run_sweep(plan, SweepView(Console(), space, "swd", trials))
    history = pd.read_parquet(Path(storage) / "warm" / "history.parquet")
    return [float(value) for value in history["turnover_s"].dropna()]


def train_nested(setup: dict[str, Any]) -> None:
    """The worker loop of the nested pattern: build, record when the first step starts, train, report."""
    context = ray.train.get_context()
    run = GanRun(
        GanConfig.from_dict(setup["gan"]),
        load_images(DataConfig(**setup["gan"]["data"])),
        rank=context.get_world_rank(),
        world_size=context.get_world_size(),
    )
    if context.get_world_rank() == 0:
        # a file: ray.train 2.60 keeps reported numbers only when a checkpoint comes with them
        Path(setup["mark"]).write_text(str(time.time()))
    ray.train.report(run.tick())


def nested_trial(config: dict[str, Any]) -> None:
    """A Tune function that starts a Ray Train run of its own, as Ray documents it."""
    started_at = time.time()
    mark = Path(config["storage"]) / f"first-step-{started_at}"
    trainer = TorchTrainer(
        train_nested,
        train_loop_config={"gan": config["gan"], "mark": str(mark)},
        scaling_config=ScalingConfig(num_workers=WORKERS),
        run_config=RunConfig(name=f"nested-{started_at}", storage_path=config["storage"]),
    )
    trainer.fit()
    ray.tune.report({"start_s": float(mark.read_text()) - started_at})


def measure_nested(trials: int, storage: str) -> list[float]:
    """Seconds from the start of each nested trial to its first training step."""
    os.environ.pop("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", None)  # the sweep's; here Tune's own log is read
    start_ray(None)
    tuner = ray.tune.Tuner(
        ray.tune.with_resources(nested_trial, {"memory": 1}),
        param_space={"gan": tiny_gan().to_dict(), "storage": storage},
        tune_config=ray.tune.TuneConfig(num_samples=trials, max_concurrent_trials=1),
        run_config=ray.tune.RunConfig(name="nested", storage_path=storage, verbose=0),
    )
    results = tuner.fit()
    ray.shutdown()
    if results.errors:
        raise results.errors[0]
    return [float(result.metrics["start_s"]) for result in results if result.metrics]


def main() -> None:
    """Measure both and print the comparison."""
    arguments = tyro.cli(Arguments)
    with tempfile.TemporaryDirectory() as storage:
        turnovers = measure_warm(arguments.trials, storage)
        nested = measure_nested(arguments.nested, storage)
    warm_s, nested_s = statistics.median(turnovers), statistics.median(nested)
    print(
        f"warm worker groups: median {warm_s:.3f} s, worst {max(turnovers):.3f} s, {len(turnovers)} turnovers"
    )
    print(f"TorchTrainer in a Tune function: median {nested_s:.1f} s over {len(nested)} trials")
    figures = {
        "warm_turnover_s": round(warm_s, 4),
        "nested_train_s": round(nested_s, 2),
        "nested_over_warm": round(nested_s / warm_s, 1),
        "turnovers": len(turnovers),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
