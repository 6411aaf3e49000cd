"""Shared by the tests of this folder: one Ray, tiny settings, a run without Ray."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
import torch

from common.cluster.session import start_ray
from common.storage.folder import Folder
from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig
from gan.data.loading import load_images
from gan.run_folder import Row, RunFolder, is_best
from gan.training.health import verdicts
from gan.training.health.stopping import StoppingConfig
from gan.training.run import GanRun


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[None]:
    """One Ray with two CPUs for all tests of the session."""
    start_ray(None, num_cpus=2)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache of the few built-in shapes that all runs here use."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_config(cache: Path) -> GanConfig:
    """Twelve ticks, each of a few tenths of a second on one core."""
    return GanConfig(
        data=DataConfig(resolution=16, max_images=240, held_out=32, cache=str(cache)),
        network=NetworkConfig(width=4, latent_size=8),
        evaluation=EvaluationConfig(metric="swd", metric_images=32),
        batch=16,
        images=12 * 512,
        images_per_tick=512,
        precision="fp32",
        compile="off",
        stopping=StoppingConfig(when="none"),
    )


@pytest.fixture(scope="session")
def troubled_config(tiny_config: GanConfig) -> GanConfig:
    """A generator that stands still, so that the discriminator has won after three of twelve ticks."""
    return tiny_config.with_values(
        {
            "optimizer.generator_lr": 1e-12,
            "optimizer.discriminator_lr": 1e-3,
            "ema_half_life": 0,
            "stopping.when": "discriminator_won",
            "stopping.patience": 2,
        }
    )


TrainWithoutRay = Callable[[GanConfig, Folder, int], list[Row]]


def train_without_ray(config: GanConfig, folder: Folder, threads: int) -> list[Row]:
    """The run of one worker, driven here; any other driver must get the same rows."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)  # it decides the order of sums, hence the last digits
    run, results, history = GanRun(config, load_images(config.data)), RunFolder(folder), list[Row]()
    results.begin(config, {"workers": 1})
    while not run.is_finished:
        history.append(run.tick())
        metric = config.evaluation.key()
        best, found = is_best(history, metric), verdicts(history, metric)
        results.record(history, found, run.state_dict(), run.sample_grid(), is_best=best)
    torch.set_num_threads(threads_before)
    return history


@pytest.fixture(scope="session")
def plain_run(tiny_config: GanConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, list[Row]]:
    """Folder and rows of `tiny_config`'s run without Ray."""
    folder = Folder(str(tmp_path_factory.mktemp("plain")))
    return folder, train_without_ray(tiny_config, folder, 1)


@pytest.fixture(scope="session")
def plain_driver() -> TrainWithoutRay:
    """Drives a run without Ray."""
    return train_without_ray
