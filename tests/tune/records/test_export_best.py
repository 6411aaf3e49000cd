"""The export of the best trial, from the states that still exist."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan import checkpoint, generation
from gan.data.loading import load_images
from gan.training.run import GanRun
from tests.tune.sweeps import tiny_gan
from tune.config import SweepConfig
from tune.records.events import StateConfirmed
from tune.records.export_best import export_best
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Checkpoint, Trial
from tune.space.default import default_space
from tune.trial_keys import STATE_FILE

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    folder = SweepFolder(str(tmp_path), "mine")
    folder.begin(SweepConfig(), default_space(), is_resumed=False)
    return folder


def saved(path: str, value: float | None, images_seen: int = 64) -> Checkpoint:
    return Checkpoint(path=path, images_seen=images_seen, value=value)


def test_the_best_state_that_is_still_there_becomes_generator_config_and_grid(folder: SweepFolder) -> None:
    config = tiny_gan(seed=3)
    run = GanRun(config, load_images(config.data))
    run.tick()
    kept = "trial_0001/checkpoint_000002"
    folder.files.write(f"{kept}/{STATE_FILE}", checkpoint.to_bytes(run.state_dict()))
    trials = {
        0: Trial(number=0, checkpoints=[saved("trial_0000/gone", 1.0), saved("trial_0000/unmeasured", None)]),
        1: Trial(number=1, checkpoints=[saved(kept, 2.0), saved("trial_0001/worse", 3.0, images_seen=128)]),
    }
    assert export_best(folder, trials) == f"{folder.location}/best"
    assert json.loads(folder.files.read("best/config.json") or b"") == config.to_dict()
    origin = json.loads(folder.files.read("best/trial.json") or b"")
    assert origin == {"trial": 1, "images_seen": 64, "value": 2.0, "checkpoint": kept}

    generator, _ = generation.load_trained(f"{folder.location}/best")
    latents = generation.random_latents(config, 64, 0)
    pictures = generation.sample(generator, latents, config)
    with Image.open(Path(folder.location) / "best" / "grid.png") as grid:
        shown = np.asarray(grid)
    zoom = ((shown.shape[0] + 2) // 8 - 2) // 16
    assert np.array_equal(shown[: 16 * zoom : zoom, : 16 * zoom : zoom], pictures[0])


def test_the_exported_state_says_what_it_was_measured_at_again(folder: SweepFolder) -> None:
    run = GanRun(tiny_gan(), load_images(tiny_gan().data))
    run.tick()
    folder.files.write(f"c/{STATE_FILE}", checkpoint.to_bytes(run.state_dict()))
    again = StateConfirmed(number=1, path="c", metric="swd", value=9.0, noise=0.5)
    export_best(folder, {1: Trial(number=1, checkpoints=[saved("c", 2.0)], confirmed={"c": again})})
    origin = json.loads(folder.files.read("best/trial.json") or b"")
    assert (origin["value"], origin["confirmed"], origin["metric"], origin["noise_floor"]) == (
        2,
        9,
        "swd",
        0.5,
    )


def test_without_a_saved_state_there_is_no_best(folder: SweepFolder) -> None:
    assert export_best(folder, {0: Trial(number=0)}) is None
