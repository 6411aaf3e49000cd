"""`gan evaluate` on a trained run and on a sweep's best."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from common.storage.folder import Folder
from gan.__main__ import main
from gan.run_folder import Row, best_row
from gan.training.health import verdict

Capture = pytest.CaptureFixture[str]


def test_evaluate_prints_what_the_best_tick_measured(
    plain_run: tuple[Folder, list[Row]], capsys: Capture
) -> None:
    folder, rows = plain_run
    assert main(["evaluate", folder.location, "--images", "40"]) == 0
    best = best_row(rows, "swd")
    line = capsys.readouterr().out
    assert f"the run it comes from: {verdict(rows, 'swd').name}: " in " ".join(line.split())
    assert line.startswith(
        f"swd {best['swd']:.4g} (noise floor {best['swd_noise']:.2g}) on 32 images of shapes"
    )


def test_evaluate_prints_every_measure_with_its_noise_floor(
    plain_run: tuple[Folder, list[Row]], capsys: Capture
) -> None:
    assert main(["evaluate", plain_run[0].location, "--images", "40", "--modes", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    measures = {each["name"].removesuffix("_compact_40"): each for each in printed["measures"]}
    assert set(measures) == {
        *("fd", "kid", "precision", "recall", "density", "coverage"),
        *("memorization", "duplicates", "modes_40", "kl_40"),
        *("checkerboard", "burnt", "fd_lite0_40"),
    }
    names = [each["name"] for each in printed["measures"]]
    assert names[:3] == ["fd_compact_40", "kid_compact_40", "fd_lite0_40"], "both networks beside each other"
    assert measures["fd_lite0_40"]["value"] > measures["fd_lite0_40"]["real"] > 0
    assert measures["checkerboard"]["real"] == pytest.approx(1, abs=0.3)
    assert -1 < measures["burnt"]["value"] < 1 and abs(measures["burnt"]["real"]) < 0.05
    assert measures["fd"]["value"] > measures["fd"]["real"] > 0
    assert measures["kid"]["standard_error"] > 0
    assert measures["coverage"]["real"] > 0.8
    assert 0 < printed["classifier_accuracy"] <= 1
    assert main(["evaluate", plain_run[0].location, "--images", "40", "--modes"]) == 0
    shown = capsys.readouterr().out
    assert all(each["name"] in shown for each in printed["measures"])


def test_evaluate_counts_no_modes_unless_asked_and_finds_the_best_of_a_sweep(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path, capsys: Capture
) -> None:
    best = tmp_path / "sweep" / "best"
    best.mkdir(parents=True)
    shutil.copy(plain_run[0].path("generator.safetensors"), best)
    (best / "trial.json").write_text(json.dumps({"verdict": "stalled", "verdict_evidence": "it stands"}))
    assert main(["evaluate", str(tmp_path / "sweep"), "--images", "40", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["classifier_accuracy"] is None and len(printed["measures"]) == 11
    assert (printed["verdict"], printed["verdict_evidence"]) == ("stalled", "it stands")


def test_evaluate_refuses_data_of_other_channels_with_a_remedy_that_works(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path, capsys: Capture
) -> None:
    for number in range(100):
        Image.new("L", (16, 16), 2 * number).save(tmp_path / f"{number:03}.png")
    args = ["evaluate", plain_run[0].location, "--data", str(tmp_path), "--images", "40"]
    assert main(args) == 2
    said = capsys.readouterr().err
    assert "makes images in colour" in said and "has pictures in grey" in said and "--colour rgb" in said
    assert main([*args, "--modes", "--colour", "rgb"]) == 2
    assert "--modes needs classes" in capsys.readouterr().err
    assert main([*args, "--colour", "rgb"]) == 0
