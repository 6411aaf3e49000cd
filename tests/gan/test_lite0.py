"""EfficientNet-Lite0 through a run and an evaluation: names in tables, missing weights, grey pictures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.storage.folder import Folder
from gan.__main__ import main
from gan.config import GanConfig
from gan.run_folder import Row
from perceptual import shipped

Capture = pytest.CaptureFixture[str]


def test_a_run_by_lite0_is_measured_by_it_in_tables_and_evaluation(
    tiny_config: GanConfig,
    tmp_path: Path,
    plain_driver: Callable[[GanConfig, Folder, int], list[Row]],
    capsys: Capture,
) -> None:
    values = {"evaluation.metric": "fd_lite0", "evaluation.metric_images": 40, "images": 512}
    run = Folder(str(tmp_path / "run"))
    row = plain_driver(tiny_config.with_values(values), run, 1)[-1]
    assert row["fd_lite0_40"] > row["fd_lite0_40_noise"] > 0
    assert 0 <= row["recall_lite0_40"] <= 1 and not any("compact" in name for name in row)
    args = ["evaluate", run.location, "--images", "40", "--features", "lite0", "--json"]
    assert main(args) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fd_lite0_40"] == pytest.approx(row["fd_lite0_40"], rel=0.02)
    measures = {each["name"]: each["value"] for each in found["measures"]}
    names = {f"{kind}_lite0_40" for kind in ("fd", "kid", "precision", "recall", "density", "coverage")}
    assert names <= set(measures)


def test_a_package_without_its_weights_is_refused_in_one_line(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert main(["evaluate", plain_run[0].location, "--images", "40", "--features", "lite0"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the package lacks its weights" in said and "reinstall" in said
