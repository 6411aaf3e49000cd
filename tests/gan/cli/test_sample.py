"""`gan sample` on a trained run and on a sweep's best."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from common.storage.folder import Folder
from gan.__main__ import main
from gan.cli.sample import check_grid
from gan.run_folder import Row

Capture = pytest.CaptureFixture[str]


def test_a_grid_that_nobody_could_open_is_refused_before_any_sample() -> None:
    check_grid(10_000, 64)
    with pytest.raises(ConfigError, match=r"a grid of 20,922 pixels a side.*--no-grid --singles"):
        check_grid(100_000, 64)


def test_sample_writes_what_was_requested_and_the_same_seed_gives_the_same(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path
) -> None:
    location = plain_run[0].location
    for out in ("a", "b"):
        args = [
            "--out",
            str(tmp_path / out),
            "--count",
            "5",
            "--singles",
            "--interpolate",
            "3",
            "--seed",
            "9",
        ]
        assert main(["sample", location, *args]) == 0
    names = {"grid.png", "interpolation.gif", *(f"single/{index:04d}.png" for index in range(5))}
    files = {str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.*")}
    assert files == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with Image.open(tmp_path / "a" / "interpolation.gif") as gif:
        assert getattr(gif, "n_frames", 1) > 3 and gif.size == (16, 16)
    singles = [np.asarray(Image.open(tmp_path / "a" / f"single/{index:04d}.png")) for index in range(5)]
    assert all(single.shape == (16, 16, 3) for single in singles)


def test_a_walk_goes_spherically_unless_a_straight_one_is_asked_for(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path
) -> None:
    location, gifs = plain_run[0].location, []
    for flags in ([], ["--interpolation", "spherical"], ["--interpolation", "linear"]):
        out = tmp_path / str(len(gifs))
        args = ["sample", location, "--no-grid", "--interpolate", "2", "--out", str(out)]
        assert main([*args, *flags]) == 0
        gifs.append((out / "interpolation.gif").read_bytes())
    assert gifs[0] == gifs[1] != gifs[2]


def test_a_gif_shows_one_latent_after_every_tick(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path, capsys: Capture
) -> None:
    folder, rows = plain_run
    for number, location in enumerate((folder.location, folder.path("best.safetensors"))):
        out = tmp_path / str(number)
        assert main(["sample", location, "--no-grid", "--over-time", "9", "--out", str(out)]) == 0
        assert f"wrote {out}/over_time.gif" in "".join(capsys.readouterr().out.splitlines())
        with Image.open(out / "over_time.gif") as gif:
            assert getattr(gif, "n_frames", 1) == len(rows) == 12
            assert gif.size == (112, 112) and gif.info["duration"] == 200


def test_a_sweep_is_sampled_from_its_best_but_has_no_ticks_of_it(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path, capsys: Capture
) -> None:
    best, out = tmp_path / "sweep" / "best", tmp_path / "out"
    best.mkdir(parents=True)
    shutil.copy(plain_run[0].path("generator.safetensors"), best)
    args = ["sample", str(tmp_path / "sweep"), "--out", str(out), "--count", "4"]
    assert main(args) == 0
    assert (out / "grid.png").exists()
    assert main([*args, "--over-time", "0"]) == 2
    assert "--over-time needs the folder of a run with a finished tick" in capsys.readouterr().err
