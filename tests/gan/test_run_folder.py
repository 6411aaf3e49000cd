"""The files of a run, read by other libraries, and after failures."""

import errno
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from gan.checkpoint import RunState, generator_from_bytes
from gan.config import GanConfig
from gan.run_folder import GENERATOR, Row, RunFolder, best_row, is_best
from gan.training.health import verdicts


def state_after(step: int) -> RunState:
    return RunState({"ema.weight": torch.full((3,), float(step))}, {"step": step, "channels": 1}, {})


def record_ticks(results: RunFolder, values: list[float]) -> list[Row]:
    history: list[Row] = []
    for step, value in enumerate(values, start=1):
        history.append({"images_seen": 64.0 * step, "swd": value, "share": 1 / 3})
        grid = np.full((4, 6, 1), step, np.uint8)
        found = verdicts(history, "swd")
        results.record(history, found, state_after(step), grid, is_best=is_best(history, "swd"))
    return history


def test_history_is_a_table_with_every_digit_and_a_grid_each_tick(tmp_path: Path) -> None:
    history = record_ticks(RunFolder(Folder(str(tmp_path))), [3.0, 1.0, 2.0])
    table = pd.read_csv(tmp_path / "history.csv")
    assert list(table.pop("verdict")) == ["healthy"] * 3
    assert list(table.pop("verdict_evidence"))[-1] == "swd is 2 after 192 images"
    assert table.to_dict("records") == history
    assert RunFolder(Folder(str(tmp_path))).history() == history
    assert RunFolder(Folder(str(tmp_path))).history(up_to_images=128) == history[:2]
    with Image.open(tmp_path / "samples" / "000000128.png") as grid:
        assert grid.size == (6, 4) and np.asarray(grid).max() == np.asarray(grid).min() == 2


def test_the_generator_kept_is_that_of_the_best_tick_and_the_state_that_of_the_last(tmp_path: Path) -> None:
    results = RunFolder(Folder(str(tmp_path)))
    record_ticks(results, [3.0, 1.0, 2.0])
    kept = results.folder.read(GENERATOR)
    assert kept is not None
    assert generator_from_bytes(kept).tensors["weight"].tolist() == [2.0, 2.0, 2.0]
    last = results.last_state()
    assert last is not None and last.meta["step"] == 3


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([2.0], 0),
        ([2.0, 1.0], 1),
        ([9.0, 8.0, 7.0, 6.0], 3),  # always better: the last
        ([9.0, 5.0, 5.0, 5.0, 5.0], 2),  # of equally good ones the first
        ([9.0, 6.0, 5.0, 1.0, 5.0, 4.0, 4.0, 4.0], 5),  # the fourth was lucky
        ([9.0, 5.0, 4.0, 5.0, 7.0, 9.0], 2),  # was good, is no more
    ],
)
def test_the_best_row_is_the_first_whose_median_with_the_two_before_is_the_lowest(
    values: list[float], best: int
) -> None:
    rows = [{"swd": value, "n": float(place)} for place, value in enumerate(values)]
    assert best_row(rows, "swd")["n"] == best
    medians = [np.median(values[max(0, end - 3) : end]) for end in range(1, len(values) + 1)]
    expected = [medians[end] < min(medians[:end], default=np.inf) for end in range(len(values))]
    assert [is_best(rows[: end + 1], "swd") for end in range(len(rows))] == expected


def test_a_tick_that_diverged_is_the_best_only_where_all_are_such() -> None:
    values = [9.0, 8.0, 1.0, 1.0]
    rows = [{"swd": value, "discriminator_loss": 99.0 if value == 1 else 1.4} for value in values]
    assert best_row(rows, "swd") is rows[1]
    assert [is_best(rows[: end + 1], "swd") for end in range(4)] == [True, True, False, False]
    garbage = [{"swd": value, "discriminator_loss": 99.0} for value in values]
    assert best_row(garbage[:3], "swd") is garbage[2]


def test_garbage_does_not_make_the_tick_that_follows_it_the_best() -> None:
    rows = [{"swd": value, "burnt": 1.0 if value < 1 else 0.0} for value in (0.1, 0.2, 9.0, 7.0, 6.0, 5.0)]
    # the medians of what counts: 9, 8, 7, 6
    assert best_row(rows, "swd") is rows[5]
    assert best_row(rows[:3], "swd") is rows[2]


def test_a_full_disk_leaves_the_tick_before_intact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = RunFolder(Folder(str(tmp_path)))
    history = record_ticks(results, [3.0, 2.0])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    row = {"images_seen": 192.0, "swd": 1.0}
    with pytest.raises(WriteError, match="No space left on device") as caught:
        all_rows = [*history, row]
        found = verdicts(all_rows, "swd")
        results.record(all_rows, found, state_after(3), np.zeros((4, 4, 3), np.uint8), is_best=True)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_settings_come_back_and_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    results = RunFolder(Folder(str(tmp_path / "run")))
    assert not results.exists()
    with pytest.raises(ConfigError, match="holds no run"):
        results.config()
    config = GanConfig(batch=48, seed=7)
    results.begin(config, {"workers": 3})
    assert results.exists() and results.config() == config and results.details() == {"workers": 3}


def test_a_broken_history_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("images_seen,swd\n64,1.0\n128,oops\n")
    with pytest.raises(ConfigError, match=r"history\.csv is broken"):
        RunFolder(Folder(str(tmp_path))).history()


def test_a_pickle_in_place_of_a_state_is_never_loaded(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"x": torch.zeros(1)}, buffer)
    (tmp_path / "last.safetensors").write_bytes(buffer.getvalue())
    with pytest.raises(ConfigError, match="pickle"):
        RunFolder(Folder(str(tmp_path))).last_state()
