"""The command line as a user meets it: help, wrong input in one line before Ray starts, the best exported."""

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from common.cli.signals import Interrupted
from common.storage.atomic import WriteError
from gan.cli.flags import parse_command as parse_gan
from gan.config import GanConfig
from tune.__main__ import main
from tune.cli.flags import Resume, Sweep, parse_command
from tune.config import SweepConfig
from tune.driver.plan import SweepPlan
from tune.driver.stopping import SweepError
from tune.records.events import CheckpointSaved, EventLog, Tick, TrialEnded, TrialStarted
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial
from tune.space.default import default_space
from tune.space.toml import load_space

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting Ray fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("Ray was started")

    monkeypatch.setattr("common.cluster.session.start_ray", refuse)


@pytest.mark.parametrize(
    "command", [[], ["sweep"], ["resume"], ["best"], ["dashboard"], ["report"], ["compare"], ["status"]]
)
def test_every_command_explains_itself(command: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: python -m tune{' ' * bool(command)}{''.join(command)}")


def test_the_flags_of_the_readme_are_there(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["sweep", "--help"])
    flags = set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out))
    wanted = "data trials workers-per-trial images-per-trial concurrent time-budget seed space print-space"
    wanted += " storage address search scheduler generator-lr resolution batch balance"
    assert {f"--{flag}" for flag in wanted.split()} <= flags


def test_the_printed_space_loads_back_to_the_same(tmp_path: Path, capsys: Capture) -> None:
    assert main(["sweep", "--print-space"]) == 0
    (tmp_path / "space.toml").write_text(capsys.readouterr().out)
    assert load_space(tmp_path / "space.toml") == default_space()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--trials", "0"], "--trials must be at least 1, not 0"),
        (["--trails", "3"], "--trails"),
        (["--trials", "many"], "many"),
        (["--scheduler", "hyperband"], "hyperband"),
        (["--time-budget", "soon"], "--time-budget must be a time such as 90s"),
        (["--name", "../up"], "--name may have"),
        (["--batch", "100", "--workers-per-trial", "3"], "--batch must be a multiple of the 3 workers"),
        (["--min-workers", "2"], "--min-workers must be between 1 and the --workers-per-trial 1, not 2"),
        (["--batch", "32", "--workers-per-trial", "4", "--min-workers", "2"], "multiple of the 3 workers"),
        (["--generator-lr", "-1"], "--generator-lr must be above 0"),
        (["--workers-per-trial", "1000", "--batch", "2000"], "a trial needs 1000 workers of 1 CPU"),
        (["--scheduler", "pbt", "--trials", "1"], "population of at least 2"),
        (["--data", "/does/not/exist"], "/does/not/exist"),
        (["--space", "/does/not/exist.toml"], "--space /does/not/exist.toml cannot be read"),
        (["--config", "/does/not/exist.json"], "which does not exist"),
        (["--storage", "nonsense://bucket"], "nonsense"),
        (["--max-images", "40", "--held-out", "4"], "--batch"),
        (["--storage", "/dev/null/x"], "/dev/null/x"),
        (["--storage", "/proc/foo"], "No such file or directory; choose a folder with write permission"),
        (["--storage", "memory://runs"], "--storage memory://runs would exist only in the memory"),
        (["--study", "nonsense"], "--study nonsense is not a URL"),
        (["--study", "nosuch://x"], "--study nosuch://x cannot be opened"),
        (["--study", "sqlite:///none/x.db"], "there is no folder"),
        (["--study", "sqlite://"], "--study sqlite:// is a database in memory"),
        (["--trials", "+5"], "--trials +5 adds trials to a sweep that exists"),
        (["--scheduler", "pbt", "--search", "gp"], "--search gp has no effect with --scheduler pbt"),
        (["--address", "nonsense"], "--address must be host:port or auto, not 'nonsense'; see `ray status`"),
        (["--address", "127.0.0.1:1"], "--address 127.0.0.1:1 is not a Ray cluster that can be reached"),
        (["--gpus-per-worker", "1.5"], "--gpus-per-worker must be whole above 1"),
    ],
)
def test_a_wrong_flag_is_answered_in_one_line_before_ray_starts(
    flags: list[str], says: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["sweep", *flags]) == 2
    shown = capsys.readouterr()
    [line] = shown.err.splitlines()
    assert line.startswith("python -m tune: ") and says in line
    assert not (tmp_path / "runs").exists()


def test_a_tracker_that_is_not_installed_is_answered_in_one_line(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["sweep", "--wandb", "--storage", str(tmp_path / "runs")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("wandb, which is not installed; run pip install 'artsweep[wandb]'")
    assert not (tmp_path / "runs").exists()


def test_a_sweep_of_an_earlier_version_has_no_trackers() -> None:
    values = SweepConfig().to_dict()
    del values["tracking"]
    assert SweepConfig.from_dict(values).tracking.names() == ()
    command = parse_command(["resume", "runs/x", "--tensorboard"])
    assert isinstance(command, Resume)
    assert command.changed(SweepConfig.from_dict(values)).tracking.names() == ("tensorboard",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[optimizer.generator_lr]\nlow = 1\nhigh = 0.1\n", "optimizer.generator_lr"),
        ("[optimizer.lr]\nlow = 0.1\nhigh = 1\n", "optimizer.lr"),
        ("[optimizer\n", "not TOML"),
        ("[data.resolution]\nvalues = [16, 32]\n", "data.resolution"),
    ],
)
def test_a_wrong_space_is_answered_in_one_line(text: str, says: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "space.toml").write_text(text)
    assert main(["sweep", "--space", str(tmp_path / "space.toml"), "--storage", str(tmp_path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_name_is_not_taken_twice_and_a_folder_must_be_a_sweeps(tmp_path: Path, capsys: Capture) -> None:
    folder = SweepFolder(str(tmp_path), "mine")
    folder.begin(SweepConfig(), default_space(), is_resumed=False)
    assert main(["sweep", "--name", "mine", "--storage", str(tmp_path)]) == 2
    assert "already holds a sweep" in capsys.readouterr().err
    for command in ("resume", "best"):
        assert main([command, str(tmp_path / "other")]) == 2
        assert "holds no sweep" in capsys.readouterr().err
    assert main(["best", str(tmp_path / "mine")]) == 2
    assert "no trial has saved a state yet" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "total"), [("+20", 45), ("30", 30), (None, 25)])
def test_resume_counts_trials_in_all_or_more(given: str | None, total: int) -> None:
    command = parse_command(["resume", "runs/x", *(["--trials", given] if given else [])])
    assert isinstance(command, Resume)
    assert command.changed(SweepConfig(trials=25)).trials == total


def test_a_sweep_is_saved_and_read_back_whole(tmp_path: Path) -> None:
    command = parse_command(
        ["sweep", "--trials", "7", "--generator-lr", "1e-4", "--images-per-trial", "5000"]
    )
    assert isinstance(command, Sweep)
    assert command.sweep.gan.images == 5000
    folder = SweepFolder(str(tmp_path), "mine")
    folder.begin(command.sweep, default_space(), is_resumed=False)
    again = SweepFolder.at(str(tmp_path / "mine"))
    assert again.config() == command.sweep
    assert again.space(command.sweep) == default_space()
    assert again.session() == ""
    folder.begin(command.sweep, default_space(), is_resumed=True)
    assert again.session() == ".r1"


def test_the_exported_best_is_a_config_that_train_takes(tmp_path: Path, capsys: Capture) -> None:
    # from the log alone: the sweep may still run, or its driver may have been killed
    values = {"optimizer.generator_lr": 3e-4, "balance.policy": "accuracy"}
    base = GanConfig(seed=7).with_values({"evaluation.held_out_part": "search"})
    folder = SweepFolder(str(tmp_path), "mine")
    folder.begin(SweepConfig(gan=base), default_space(), is_resumed=False)
    with EventLog(folder.location) as log:
        log.record(TrialStarted(number=0, trial_id="t0", values=values))
        log.record(Tick(number=0, trial_id="t0", images_seen=64, metrics={"fd_compact_1k": 5.0}))
        log.record(CheckpointSaved(number=0, images_seen=64, path="c0", value=5.0))
        log.record(TrialStarted(number=1, trial_id="t1", values={"optimizer.generator_lr": 1e-3}))
    out = tmp_path / "best.json"
    assert main(["best", str(tmp_path / "mine"), "--out", str(out), "--keep-seed"]) == 0
    assert GanConfig.from_dict(json.loads(out.read_text())) == GanConfig(seed=7).with_values(values)
    assert main(["best", str(tmp_path / "mine"), "--out", str(out)]) == 0
    config = GanConfig(seed=8).with_values(values)  # another seed: training does not repeat the luck
    assert f"python -m gan train --config {out}" in capsys.readouterr().out
    command = parse_gan(["train", "--config", str(out), "--batch", "32"])
    assert command.gan == config.with_values({"batch": 32})  # type: ignore[union-attr]
    with EventLog(folder.location) as log:
        log.record(TrialEnded(number=0, state="failed", reason="the loss is nan", own_fault=True))
    assert main(["best", str(tmp_path / "mine"), "--out", str(out)]) == 0
    assert "of trial 0 after 64 images; later it failed: the loss is nan" in capsys.readouterr().out


def test_a_finished_sweep_is_not_started_again_and_never_shrinks(tmp_path: Path, capsys: Capture) -> None:
    folder = SweepFolder(str(tmp_path), "mine")
    folder.begin(SweepConfig(trials=2), default_space(), is_resumed=False)
    with EventLog(folder.location) as log:
        for number in range(2):
            log.record(TrialStarted(number=number, trial_id=f"t{number}"))
            log.record(TrialEnded(number=number, state="completed"))
    assert main(["resume", str(tmp_path / "mine")]) == 0
    assert "all 2 trials are finished" in capsys.readouterr().out
    assert main(["resume", str(tmp_path / "mine"), "--trials", "1"]) == 2
    assert "--trials 1 is fewer than the 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (None, 0, "results: {folder}"),
        (Interrupted(signal.SIGTERM), 143, "SIGTERM; everything is saved: resume with {resume}"),
        (
            SweepError("no worker is left: lost"),
            1,
            "python -m tune: no worker is left: lost; resume with {resume}",
        ),
        (WriteError("the disk is full"), 1, "python -m tune: the disk is full; resume with {resume}"),
    ],
)
def test_a_sweep_s_end_is_an_exit_code_and_a_line(
    raised: BaseException | None,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    def run_sweep(plan: SweepPlan, _: object) -> dict[int, Trial]:
        plan.folder.begin(plan.config, plan.space, is_resumed=False)
        if raised is not None:
            raise raised
        return {}

    monkeypatch.setattr("tune.driver.sweep.run_sweep", run_sweep)
    assert main(["sweep", "--storage", str(tmp_path), "--name", "x"]) == code
    folder, shown = tmp_path / "x", capsys.readouterr()
    line = said.format(folder=folder, resume=f"python -m tune resume {folder}")
    assert line in (shown.err if code == 1 else shown.out)
    assert code == 1 or shown.err == ""
