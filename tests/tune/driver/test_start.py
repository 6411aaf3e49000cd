"""How a sweep starts: signals at every stage, nothing left of one that never began."""

import importlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gan.config import DataConfig
from tests.drivers import processes_of
from tests.tune.driver.test_trouble import (
    FLAGS,
    TICK,
    start,
    sweep_command,
    trials_of,
)
from tests.waiting import HANGS_AFTER_S, wait_for
from tune.__main__ import main

pytestmark = [pytest.mark.usefixtures("cache")]

STAGES = [
    "plan.SweepPlan.check",
    "sweep._open_study",
    "sweep.load_images",
    "sweep.check_images",
    "sweep.ray_session",
    "sweep.check_seen_by_all",
    "sweep.broadcast_images",
    "sweep.WorkerGroups",
    "sweep.WorkerGroups.wait_until_one_is_ready",
    "sweep.build_scheduler",
    "sweep.build_tuner",
]


def hit_by(signum: int, original: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which this process gets a signal in."""

    def hit(*args: Any, **settings: Any) -> Any:
        os.kill(os.getpid(), signum)
        return original(*args, **settings)

    return hit


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_at_any_stage_of_the_start_is_one_line_and_leaves_nothing(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _, path = stage.partition(".")
    *parents, name = path.split(".")
    owner: Any = importlib.import_module(f"tune.driver.{module}")
    for parent in parents:
        owner = getattr(owner, parent)
    signum = signal.SIGTERM if STAGES.index(stage) % 2 else signal.SIGINT
    monkeypatch.setattr(owner, name, hit_by(signum, getattr(owner, name)))
    url = f"sqlite:///{tmp_path}/studies.db"
    # a trial, hence a worker group: each takes seconds of CPU, and is started in vain
    code = main([*sweep_command(tmp_path / "runs", trials=1, images=4 * TICK), "--study", url])
    shown = capsys.readouterr()
    lines = (shown.out + shown.err).splitlines()
    assert code == 128 + signum, lines
    assert [line for line in lines if "stopped by" in line] == lines[-1:]
    assert "no trial had begun" in lines[-1] or stage.startswith("plan.")
    assert "resume" not in lines[-1]
    assert not any("Traceback" in line or "Error" in line for line in lines)
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}, "nothing is left"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 2.0, 4.0, 6.0, 8.0, 10.0])
def test_a_signal_at_any_time_of_a_real_start_ends_with_its_exit_code(seconds: float, tmp_path: Path) -> None:
    signum = signal.SIGTERM if seconds % 4 else signal.SIGINT
    driver = start(sweep_command(tmp_path, trials=2, images=10_000 * TICK))
    time.sleep(seconds)
    os.kill(driver.pid, signum)
    out, err = driver.communicate(timeout=HANGS_AFTER_S)
    if seconds >= 2.0:  # before that, Python itself may still start
        assert driver.returncode == 128 + signum, err
        assert "Traceback" not in err and "Error" not in err
        is_begun = (tmp_path / "sweep").exists()
        assert ("resume with" in out) == is_begun
    wait_for(lambda: not processes_of(driver.pid))


def test_a_time_budget_ends_a_long_tick_at_once_and_says_what_is_saved(tmp_path: Path) -> None:
    flags = [*FLAGS, "--images", "60000000", "--images-per-tick", "30000000", "--time-budget", "2s"]
    place = ["--name", "sweep", "--storage", str(tmp_path)]
    driver = start(["sweep", *place, "--trials", "2", *flags])
    wait_for(lambda: any(trial.trial_id for trial in trials_of(tmp_path / "sweep").values()))
    began = time.monotonic()
    out, err = driver.communicate(timeout=HANGS_AFTER_S)
    took = time.monotonic() - began
    assert driver.returncode == 0, err
    assert "ActorDiedError" not in out + err and "Unhandled" not in out + err and "Traceback" not in out + err
    last = out.splitlines()[-1]
    # on a busy machine the second has no worker group before the time is used up
    begun = sum(bool(trial.trial_id) for trial in trials_of(tmp_path / "sweep").values())
    who = {1: "1 trial had", 2: "2 trials had"}[begun]
    assert last.startswith(f"the time budget is used up: {who} saved nothing yet and will begin again; ")
    assert "python -m tune resume" in last
    assert took < 2 + 120, "not the rest of the tick, which would be hours"


def test_a_start_that_fails_leaves_its_name_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        pytest.fail("Ray was started")

    monkeypatch.setattr("tune.driver.sweep.ray_session", fail)
    command = sweep_command(tmp_path / "runs", trials=2, images=4 * TICK)
    (tmp_path / "space.toml").write_text('[balance.policy]\nvalues = ["none", "loss"]\n')
    wrong = [
        ["--scheduler", "pbt", "--space", str(tmp_path / "space.toml")],
        ["--study", "postgresql+psycopg://me@127.0.0.1:1/x"],
        ["--study", f"sqlite:///{tmp_path}/space.toml"],
        ["--data", str(tmp_path / "space.toml")],
    ]
    for flags in wrong:
        began = time.monotonic()
        reordered = [word for word in command if word not in ("--scheduler", "none")]
        assert main([*reordered, *flags]) == 2, flags
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("python -m tune: ")
        assert time.monotonic() - began < 20
        assert not (tmp_path / "runs").exists(), flags


def test_data_may_have_moved_as_well(tmp_path: Path) -> None:
    from tune.cli.flags import parse_command
    from tune.config import SweepConfig

    command: Any = parse_command(["resume", "x", "--data", "/new/photos", "--cache-dir", "/c"])
    changed = command.changed(SweepConfig())
    assert changed.gan.data == DataConfig(source="/new/photos", cache="/c")
