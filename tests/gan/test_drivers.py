"""Drivers of `gan train` that are stopped or killed: what they leave, and how they are resumed."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from common.cluster.session import usable_cpus
from common.storage.folder import Folder
from gan.config import GanConfig
from gan.run_folder import Row, RunFolder
from tests.drivers import end_session, processes_of, start
from tests.waiting import HANGS_AFTER_S, wait_for

Drive = Callable[[GanConfig, Folder, int], list[Row]]


def start_train(config: GanConfig, folder: Path, *args: str) -> "subprocess.Popen[str]":
    """`python -m gan train` in a session of its own, as a terminal would start it."""
    file = folder / "wanted.json"
    file.write_text(json.dumps(config.to_dict()))
    new = ["--config", str(file), "--name", "run", "--storage", str(folder)]
    return start("gan", "train", *(args or new))


@pytest.fixture(scope="module")
def long_config(tiny_config: GanConfig) -> GanConfig:
    """Long enough to be stopped on its way."""
    return tiny_config.with_values({"images": 40 * 512})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "exit_code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_stopped_driver_says_how_to_resume_and_leaves_nothing_running(
    signum: int, exit_code: int, name: str, long_config: GanConfig, tmp_path: Path
) -> None:
    driver = start_train(long_config, tmp_path)
    wait_for((tmp_path / "run" / "last.safetensors").exists)
    os.kill(driver.pid, signum)
    out, err = driver.communicate(timeout=HANGS_AFTER_S)
    assert driver.returncode == exit_code, err
    assert out.splitlines()[-1] == (
        f"stopped by {name}; every finished tick is saved; resume with "
        f"python -m gan train --resume {tmp_path / 'run'}"
    )
    assert out.splitlines()[-2] == f"report: {tmp_path / 'run' / 'report.html'}"
    assert "Interrupted after" in (tmp_path / "run" / "report.html").read_text()
    wait_for(lambda: not processes_of(driver.pid))


@pytest.mark.slow
def test_a_signal_while_ray_starts_is_one_line_and_leaves_nothing(
    long_config: GanConfig, tmp_path: Path
) -> None:
    driver = start_train(long_config, tmp_path)
    wait_for(lambda: "gcs_server" in str(processes_of(driver.pid)))
    os.kill(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=HANGS_AFTER_S)
    assert (driver.returncode, err) == (130, "python -m gan: stopped by Ctrl-C\n")
    assert not (tmp_path / "run").exists()
    wait_for(lambda: not processes_of(driver.pid))


@pytest.mark.slow
def test_a_killed_driver_loses_at_most_a_tick_and_changes_no_number(
    long_config: GanConfig, plain_driver: Drive, tmp_path: Path
) -> None:
    results = RunFolder(Folder(str(tmp_path / "run")))
    driver = start_train(long_config, tmp_path)
    wait_for(lambda: len(results.history()) >= 3)
    done = len(results.history())
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate(timeout=HANGS_AFTER_S)
    wait_for(lambda: "RayTrainWorker" not in str(processes_of(driver.pid)))
    end_session(driver.pid)

    resumed = start_train(long_config, tmp_path, "--resume", str(tmp_path / "run"))
    out, err = resumed.communicate(timeout=HANGS_AFTER_S)
    assert resumed.returncode == 0, err
    assert "Finished after 20,480 images." in (tmp_path / "run" / "report.html").read_text()
    assert (tmp_path / "run" / "gallery" / "nearest_8.webp").exists()
    [begun] = re.findall(r"resuming from ([\d,]+) images", out)
    assert int(begun.replace(",", "")) >= done * 512
    rows = results.history()
    assert len(rows) == 40
    plain = plain_driver(long_config, Folder(str(tmp_path / "plain")), usable_cpus())
    names = ("images_seen", "swd", "generator_loss", "discriminator_loss", "accuracy_real", "accuracy_fake")
    assert [[row[name] for name in names] for row in rows] == [[row[name] for name in names] for row in plain]
