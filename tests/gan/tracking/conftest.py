"""Runs that trackers are told of."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.storage.folder import Folder
from gan.config import GanConfig
from gan.tracking.named import RunInfo, Tracker
from gan.tracking.settings import flat_settings
from gan.tracking.trackers import Trackers
from gan.training.health import Verdict

GRID = np.arange(8 * 10 * 3, dtype=np.uint8).reshape(8, 10, 3)
COLLAPSE = Verdict("mode_collapse", "recall fell to 0.1", "lower the rates")


def run_info(folder: Path, number: int = 0, **changes: Any) -> RunInfo:
    """A trial of a sweep in `folder`, with a learning rate of its own."""
    rate = 1e-4 * (number + 1)
    info = RunInfo(
        folder=Folder(str(folder)),
        name=f"trial_{number:04d}",
        identity=f"abc-{number}",
        sweep="shapes",
        settings=flat_settings(GanConfig().with_values({"optimizer.generator_lr": rate})),
        searched={"optimizer.generator_lr": rate, "loss.name": "hinge", "balance.loss_threshold": None},
        objective="objective/fd",
    )
    return dataclasses.replace(info, **changes)


def row(value: float) -> dict[str, float]:
    """The numbers of a tick."""
    return {"objective/fd": value, "objective/fd_noise": 0.5, "players/generator_loss": 2.0}


@pytest.fixture
def said() -> list[str]:
    """The lines that trackers made the run say."""
    return []


def trackers(said: list[str], **named: Tracker) -> Trackers:
    """These trackers, whose lines go to `said`."""
    return Trackers(named, said.append)
