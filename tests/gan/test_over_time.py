"""One latent after every tick, against the grids of a run."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from common.storage.folder import Folder
from gan.over_time import over_time, ticks_of
from gan.run_folder import Row, RunFolder

SIDE, LARGE = 16, 112  # of the run, and enlarged by 7 so that 8 of them fit 1000 pixels


def test_there_is_one_image_for_each_tick_and_it_is_that_of_the_grid(
    plain_run: tuple[Folder, list[Row]],
) -> None:
    folder, rows = plain_run
    results, seen = RunFolder(folder), list[int]()
    ticks = ticks_of(results)
    assert ticks == [row["images_seen"] for row in rows]
    frames = over_time(results, ticks, 11, resolution=SIDE, on_tick=lambda: seen.append(1))
    assert len(frames) == len(seen) == len(rows) == 12
    for images_seen, frame in zip(ticks, frames, strict=True):
        with Image.open(folder.path(f"samples/{images_seen:09}.png")) as grid:
            # the image after eleven, in rows of eight, with gaps of two pixels
            left, top = 3 * (LARGE + 2), LARGE + 2
            expected = grid.convert("RGB").crop((left, top, left + LARGE, top + LARGE))
        assert np.array_equal(frame, np.asarray(expected))
    assert not np.array_equal(frames[0], frames[-1])


def test_a_grid_that_is_missing_or_none_is_named(plain_run: tuple[Folder, list[Row]], tmp_path: Path) -> None:
    shutil.copytree(plain_run[0].location, tmp_path / "run")
    results = RunFolder(Folder(str(tmp_path / "run")))
    ticks, grid = ticks_of(results), tmp_path / "run" / "samples" / "000001024.png"
    Image.new("RGB", (50, 50)).save(grid)
    with pytest.raises(ConfigError, match=r"000001024.png is not the grid of a tick \(a picture of 50 x 50"):
        over_time(results, ticks, 0, resolution=SIDE)
    grid.write_text("hello")
    with pytest.raises(ConfigError, match=r"000001024\.png is not the grid of a tick"):
        over_time(results, ticks, 0, resolution=SIDE)
    grid.unlink()
    with pytest.raises(ConfigError, match=r"000001024\.png is missing; put it back"):
        over_time(results, ticks, 0, resolution=SIDE)


def test_a_folder_without_ticks_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"--over-time needs the folder of a run .* {tmp_path} is none"):
        ticks_of(RunFolder(Folder(str(tmp_path))))
