"""The files of one training run, written as it trains and read when it is resumed.

`config.json` the settings; `run.json` workers and versions; `history.csv` one row a tick, with its verdict;
`samples/<images seen>.png` one grid a tick; `last.safetensors` the state after the last tick;
`best.safetensors` the state at the tick with the best smoothed objective; `generator.safetensors` only its
averaged generator.
"""

import csv
import io
import json
import math
from typing import Any

import numpy as np

from common.errors import ConfigError
from common.storage.folder import Folder, parse_json
from gan import checkpoint
from gan.checkpoint import RunState
from gan.config import GanConfig
from gan.config_file import CONFIG_FILE
from gan.config_file import DETAILS as DETAILS
from gan.generator_file import GENERATOR as GENERATOR
from gan.image_grid import png_bytes
from gan.training.health import DIVERGED, Verdict, verdict
from gan.training.health.signals import objective_of, smoothed

HISTORY = "history.csv"
LAST, BEST = "last.safetensors", "best.safetensors"

Row = dict[str, float]

_TEXTS = ("verdict", "verdict_evidence")  # columns of the history that are no numbers


class RunFolder:
    """The files of one run. Each is replaced atomically, so that a run killed at any time can be resumed."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def exists(self) -> bool:
        """Whether the folder has a run."""
        return self.folder.read(CONFIG_FILE) is not None

    def begin(self, config: GanConfig, details: dict[str, Any]) -> None:
        """Write the run's settings, also when it is resumed with more images or workers.

        Raises: WriteError when the folder cannot be written.
        """
        self.folder.write(DETAILS, _to_json(details))
        self.folder.write(CONFIG_FILE, _to_json(config.to_dict()))

    def config(self) -> GanConfig:
        """The run's settings.

        Raises: ConfigError when the folder has no run or its settings are broken.
        """
        return GanConfig.from_dict(self._read_json(CONFIG_FILE))

    def details(self) -> dict[str, Any]:
        """The details that `begin` wrote: workers and versions.

        Raises: ConfigError when the folder has no run.
        """
        return self._read_json(DETAILS)

    def note_end(self, outcome: str, reason: str) -> None:
        """Keep in the details how training ended, until the run is resumed.

        Raises: WriteError when the folder cannot be written.
        """
        ended = {"outcome": outcome, "reason": reason}
        self.folder.write(DETAILS, _to_json({**self.details(), "ended": ended}))

    def last_state(self) -> RunState | None:
        """The state after the last finished tick, None before the first.

        Raises: CheckpointError when the file is broken.
        """
        data = self.folder.read(LAST)
        return None if data is None else checkpoint.from_bytes(data, name=self.folder.path(LAST))

    def history(self, up_to_images: float = math.inf) -> list[Row]:
        """One row for each tick that ended after at most `up_to_images` images, oldest first.

        Raises: ConfigError when the table is broken.
        """
        data = self.folder.read(HISTORY)
        if data is None:
            return []
        try:
            table = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
            rows = [
                {name: float(value) for name, value in line.items() if value and name not in _TEXTS}
                for line in table
            ]
            return [row for row in rows if row["images_seen"] <= up_to_images]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise ConfigError(
                f"{self.folder.path(HISTORY)} is broken ({error!r}); repair the line or remove the file"
            ) from None

    def record(
        self,
        history: list[Row],
        verdicts: list[Verdict],
        state: RunState,
        grid: np.ndarray,
        *,
        is_best: bool,
    ) -> None:
        """Save a tick: `history` with its row at the end, the state after it, `grid` uint8 (H, W, C).

        verdicts: one for each row.

        The last state is written last: it completes the tick, which is repeated if the run is killed before.

        Raises: WriteError when the disk is full or the like; earlier files are intact.
        """
        data = checkpoint.to_bytes(state)
        self.folder.write(samples_file(int(history[-1]["images_seen"])), png_bytes(grid))
        if is_best:
            generator = checkpoint.generator_of(state)
            self.folder.write(GENERATOR, checkpoint.generator_to_bytes(generator))
            self.folder.write(BEST, data)
        self.folder.write(HISTORY, _to_csv(history, verdicts))
        self.folder.write(LAST, data)

    def _read_json(self, name: str) -> dict[str, Any]:
        data = self.folder.read(name)
        if data is None:
            raise ConfigError(
                f"{self.folder.location} holds no run: {name} is missing; give the folder of a run"
            )
        return parse_json(data, self.folder.path(name))


def samples_file(images_seen: int) -> str:
    """Name of the grid of samples of the tick that ended after so many images."""
    return f"samples/{images_seen:09d}.png"


def best_row(history: list[Row], metric: str) -> Row:
    """The first of the rows with the lowest smoothed value, not the luckiest; lower is better.

    A row after which the run had diverged is taken only where all are such: the distance of garbage may be
    small by chance. Nor does garbage enter the smoothed value of the rows that follow it.
    """
    known = [place for place, row in enumerate(history) if objective_of(row, metric) is not None]
    places = known or list(range(len(history)))
    values = smoothed([history[place][metric] for place in places])
    ranked = [place for _, place in sorted(zip(values, places, strict=True), key=lambda pair: pair[0])]
    sound = (place for place in ranked if verdict(history[: place + 1], metric).name != DIVERGED)
    return history[next(sound, ranked[0])]


def is_best(history: list[Row], metric: str) -> bool:
    """Whether the last row is the best one so far, strictly better than all before it."""
    return best_row(history, metric) is history[-1]


def _to_json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()


def _to_csv(history: list[Row], verdicts: list[Verdict]) -> bytes:
    names = [*dict.fromkeys(name for row in history for name in row), *_TEXTS]
    texts = [dict(zip(_TEXTS, (each.name, each.evidence), strict=True)) for each in verdicts]
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | text for row, text in zip(history, texts, strict=True))
    return buffer.getvalue().encode()
