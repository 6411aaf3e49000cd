"""One process at a time trains a run, and a run that never began leaves nothing behind."""

import os
from pathlib import Path

import pytest

from common.storage.folder import Folder
from common.storage.lock import FolderLock
from gan.__main__ import main
from gan.config import GanConfig
from gan.run_folder import RunFolder


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting Ray fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("Ray was started")

    monkeypatch.setattr("common.cluster.session.start_ray", refuse)


def test_a_second_resume_of_a_run_is_told_who_trains_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(str(tmp_path / "run"))
    RunFolder(folder).begin(GanConfig(), {"workers": 1})
    with FolderLock(folder, who="training", remedy=""):
        assert main(["train", "--resume", folder.location]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"is being written by another training (process {os.getpid()} on " in line
    assert folder.read("config.json") is not None


def test_a_run_whose_data_are_missing_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--data", str(tmp_path / "nowhere"), "--storage", str(tmp_path / "runs")]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
