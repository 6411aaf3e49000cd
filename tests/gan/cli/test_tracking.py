"""Which of a run's events reach its trackers, and which trackers a run has."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from common.errors import ConfigError
from common.storage.folder import Folder
from gan.cli.flags import Train, parse_command
from gan.cli.tracking import tracked
from gan.config import GanConfig
from gan.image_grid import png_bytes
from gan.raytrain.events import Begun, Ended, Stepped, Ticked
from gan.run_folder import HISTORY, RunFolder, samples_file
from gan.tracking.config import TrackingChanges, TrackingConfig
from gan.tracking.named import Tracker
from gan.training.health import Verdict
from tests.recorder import Recorder

CONFIG = GanConfig()
METRIC = CONFIG.evaluation.key()
HEALTHY = Verdict("healthy", "")
GRID = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)


def row(images_seen: int, value: float) -> dict[str, float]:
    return {
        "images_seen": images_seen,
        METRIC: value,
        "generator_loss": 2.0,
        "train_s": 1.0,
        "burnt": 0.1,
        "burnt_noise": 0.2,
    }


def write_history(results: RunFolder, *rows: dict[str, float]) -> None:
    lines = [",".join(rows[0]), *(",".join(str(value) for value in each.values()) for each in rows)]
    results.folder.write(HISTORY, "\n".join(lines).encode())


def track(results: RunFolder, *events: Any) -> Recorder:
    recorder = Recorder()
    trackers = {"recorder": Tracker(begin=recorder.begin)}
    with tracked(trackers, results, CONFIG, Console(quiet=True)) as run:
        assert run is not None
        for event in events:
            run.note(event)
    return recorder


def test_a_tick_has_its_numbers_in_groups_its_grid_and_its_verdict(tmp_path: Path) -> None:
    results = RunFolder(Folder(str(tmp_path / "run")))
    results.folder.write(samples_file(1000), png_bytes(GRID))
    write_history(results, row(1000, 3.0), row(2000, 2.5))
    recorder = track(
        results,
        Begun(0),
        Stepped(500, 1.0, 1.0, 1.0, 0.5, 0.5),
        Ticked(row(1000, 3.0), True, HEALTHY),
        Ticked(row(2000, 2.5), True, HEALTHY),
        Ended("finished", ""),
    )
    (info,) = recorder.begun
    assert (info.name, info.sweep, info.objective) == ("run", None, f"objective/{METRIC}")
    assert info.settings["optimizer.generator_lr"] == 2e-4 and info.settings["batch"] == 64
    first, second, end = recorder.told
    assert (first[0], second[0]) == (1000, 2000)
    assert first[1] == {
        f"objective/{METRIC}": 3.0,
        "players/generator_loss": 2.0,
        "speed/train_s": 1.0,
        "health/burnt": 0.1,
        "noise/burnt_noise": 0.2,
    }
    assert np.array_equal(first[2], GRID) and second[2] is None
    assert end[0] == "completed"


def test_a_run_that_is_stopped_was_interrupted_and_goes_on_as_the_same(tmp_path: Path) -> None:
    results = RunFolder(Folder(str(tmp_path / "run")))
    write_history(results, row(1000, 3.0))
    first = track(results, Begun(0), Ticked(row(1000, 3.0), True, HEALTHY))
    assert first.told[-1] == ("interrupted", "", 3.0)
    again = track(results, Begun(1000), Ended("diverged", "a loss is not finite"))
    assert again.told == [("diverged", "a loss is not finite", 3.0)]
    assert again.begun[0].images_seen == 1000
    assert again.begun[0].identity == first.begun[0].identity


def test_without_trackers_nothing_is_written(tmp_path: Path) -> None:
    results = RunFolder(Folder(str(tmp_path / "run")))
    with tracked({}, results, CONFIG, Console(quiet=True)) as run:
        assert run is None
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_has_the_trackers_that_it_had_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    (tmp_path / "run.json").write_text(json.dumps({"trackers": ["tensorboard", "of another version"]}))

    def names(*flags: str) -> tuple[str, ...]:
        command = parse_command(["train", "--resume", str(tmp_path), *flags])
        assert isinstance(command, Train)
        return command.tracking.names()

    assert names() == ("tensorboard",)
    assert names("--no-tensorboard", "--wandb") == ("wandb",)
    (tmp_path / "run.json").write_text("{}")  # of an earlier version
    assert names() == ()


def test_a_resumed_sweep_has_the_trackers_that_it_had_unless_told_otherwise() -> None:
    before = TrackingConfig.of(["tensorboard", "wandb"])
    assert TrackingChanges().changed(before) == before
    changes = TrackingChanges(mlflow=True, no_wandb=True)
    assert changes.changed(before).names() == ("mlflow", "tensorboard")
    with pytest.raises(ConfigError, match="--mlflow and --no-mlflow exclude each other"):
        TrackingChanges(mlflow=True, no_mlflow=True)
