"""What a sweep loses when something dies: workers, the driver, trials, the pool; signals, a full disk."""

import contextlib
import dataclasses
import io
import itertools
import operator
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from common.cluster.session import own_actors
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from tests import drivers
from tests.conftest import Figure
from tests.drivers import processes_of
from tests.tune.sweeps import CURSE, DEATH, ILL_LUCK, rates, sweep, tiny_gan
from tests.waiting import HANGS_AFTER_S, wait_for
from tune.__main__ import main
from tune.records.event_reading import read_events
from tune.records.events import EventLog
from tune.records.grids import read_grids
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial, collect

pytestmark = [pytest.mark.usefixtures("cache")]

TICK = 64
TICKS = 90  # of a trial that is hit in its middle: some five seconds
FLAGS = ["--resolution", "16", "--max-images", "300", "--held-out", "60", "--width", "4"]
FLAGS += ["--latent-size", "8", "--batch", "16", "--images-per-tick", str(TICK), "--compile", "off"]
FLAGS += ["--scheduler", "none", "--metric", "swd"]
ONE_GROUP = ["--concurrent", "1", "--cpus-per-worker", "1"]
"""For sweeps whose number of worker groups does not matter: each takes seconds of CPU to start."""


def trials_of(folder: Path | str) -> dict[int, Trial]:
    return collect(read_events(folder))


def ticks_of(folder: Path | str) -> int:
    return sum(len(trial.ticks) for trial in trials_of(folder).values())


def running(folder: Path) -> list[Trial]:
    """The trials that have trained and are far from their end."""
    trials = trials_of(folder).values()
    return [trial for trial in trials if trial.state == "running" and 2 <= len(trial.ticks) <= TICKS // 2]


def seen(trial: Trial) -> list[int]:
    return [tick.images_seen for tick in trial.valid_ticks()]


def standstill_s(trials: dict[int, Trial]) -> float:
    """The longest time between the last tick of an attempt and the first of the next; 0 without any."""
    gaps = [
        after.time - before.time
        for trial in trials.values()
        for (one, before), (other, after) in itertools.pairwise(trial.ticks)
        if one != other
    ]
    return max(gaps, default=0.0)


def sweep_command(storage: Path | str, *, trials: int, images: int) -> list[str]:
    place = ["--name", "sweep", "--storage", str(storage)]
    return ["sweep", *place, "--trials", str(trials), "--images", str(images), *FLAGS]


def start(args: Sequence[str], *, through: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """`python -m tune` as a driver of its own; `through`: a command that runs what follows it."""
    return drivers.start("tune", *args, through=through)


@pytest.mark.usefixtures("shared_ray", "sabotage")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_costs_at_most_a_tick_of_its_trial(
    tmp_path: Path, workers: int, figure: Figure
) -> None:
    gan = tiny_gan(images=20 * TICK)
    trials = sweep(tmp_path, rates(DEATH), trials=3, scheduler="none", gan=gan, workers_per_trial=workers)
    assert (tmp_path / "killed").exists()
    assert [trial.state for trial in trials.values()] == ["completed"] * 3
    assert sum(trial.attempt for trial in trials.values()) == 1, "one trial was tried again"
    for trial in trials.values():
        assert seen(trial) == [TICK * tick for tick in range(1, 21)], "no tick is missing"
        assert len(trial.ticks) - len(trial.valid_ticks()) <= 1, "at most one was trained twice"
    grids = read_grids(Folder(str(tmp_path / "sweep")), trials)
    assert {number: list(of) for number, of in grids.items()} == {n: seen(t) for n, t in trials.items()}
    figure(f"worker killed, {workers} a trial", standstill_s(trials))


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray", "sabotage")
def test_a_trial_that_gets_on_between_its_failures_is_retried_for_ever_and_one_that_does_not_ends(
    tmp_path: Path,
) -> None:
    gan = tiny_gan(images=5 * TICK)
    settings: dict[str, Any] = {"trials": 1, "scheduler": "none", "gan": gan, "max_failures": 1}
    [lucky] = sweep(tmp_path / "lucky", rates(ILL_LUCK), **settings).values()
    assert len(list(tmp_path.glob("killed-at-*"))) == 3
    assert (lucky.state, lucky.attempt) == ("completed", 3)
    assert seen(lucky) == [TICK * tick for tick in range(1, 6)], "no tick is missing"

    [cursed] = sweep(tmp_path / "cursed", rates(CURSE), **settings).values()
    assert (cursed.state, cursed.attempt) == ("failed", 1)
    assert cursed.reason is not None and "WorkerGroupLostError" in cursed.reason
    assert seen(cursed) == [TICK, 2 * TICK]


@contextlib.contextmanager
def killing(folder: Path, class_name: str) -> Iterator[None]:
    """Meanwhile an actor of that class is killed, as soon as two trials are under way."""
    killed: list[int] = []

    def kill() -> None:
        wait_for(lambda: len(running(folder)) == 2)
        # the latest: one of an earlier sweep may not have ended yet
        latest = max(own_actors(class_name).values(), key=operator.itemgetter("StartTime"))
        killed.append(latest["Pid"])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    yield
    killer.join()
    assert killed


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_a_killed_trial_actor_costs_its_trial_at_most_a_tick(tmp_path: Path, figure: Figure) -> None:
    with killing(tmp_path / "sweep", "with_resources.<locals>.ResourceTrainable"):
        assert main(sweep_command(tmp_path, trials=2, images=TICKS * TICK)) == 0
    trials = trials_of(tmp_path / "sweep")
    assert [trial.state for trial in trials.values()] == ["completed"] * 2
    assert sum(trial.attempt for trial in trials.values()) == 1
    for trial in trials.values():
        assert seen(trial) == [TICK * tick for tick in range(1, TICKS + 1)], "no tick is missing"
        assert len(trial.ticks) - TICKS <= 1, "at most one was trained twice"
    figure("trial's actor killed", standstill_s(trials))


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_a_killed_pool_ends_the_sweep_in_one_line_and_resume_loses_no_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], figure: Figure
) -> None:
    folder = tmp_path / "sweep"
    with killing(folder, "Pool"):
        assert main(sweep_command(tmp_path, trials=3, images=TICKS * TICK)) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "the process that lends them has died" in said and f"resume {folder}" in said
    before = trials_of(folder)
    assert all(trial.state == "interrupted" for trial in before.values())
    assert main(["resume", str(folder)]) == 0
    after = trials_of(folder)
    assert [trial.state for trial in after.values()] == ["completed"] * 3
    for number, trial in after.items():
        assert number not in before or trial.values == before[number].values
        assert seen(trial) == [TICK * tick for tick in range(1, TICKS + 1)], "no tick is missing"
        assert len(trial.ticks) - TICKS <= 1, "at most one was trained twice"
    figure("pool killed, resumed", standstill_s(after))


@dataclasses.dataclass(frozen=True)
class Stopped:
    """A sweep that was resumed a second time while it ran, and then got SIGINT."""

    folder: Path
    pid: int
    refusals: list[tuple[int, str]]
    """Exit code and standard error of each second resume."""
    settings: tuple[bytes, bytes]
    """The sweep's settings before and after those."""
    returncode: int
    out: str
    err: str


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    """Two trials of a driver with a Ray of its own."""
    storage = tmp_path_factory.mktemp("stopped")
    folder = storage / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(storage / "cache"))
        driver = start(sweep_command(storage, trials=2, images=400 * TICK))
    wait_for(lambda: ticks_of(folder) >= 6)
    settings, refusals = (folder / "sweep.json").read_bytes(), []
    for command in (["resume", str(folder)], ["resume", str(folder), "--trials", "+3"]):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            refusals.append((main(command), said.getvalue()))
    after = (folder / "sweep.json").read_bytes()
    done = ticks_of(folder)
    wait_for(lambda: ticks_of(folder) >= done + 2)
    os.kill(driver.pid, signal.SIGINT)
    out, err = driver.communicate(timeout=HANGS_AFTER_S)
    return Stopped(folder, driver.pid, refusals, (settings, after), driver.returncode, out, err)


def test_a_second_resume_is_told_who_runs_the_sweep_and_changes_nothing(stopped: Stopped) -> None:
    assert len(stopped.refusals) == 2
    for code, err in stopped.refusals:
        assert code == 2
        [line] = err.splitlines()
        assert f"is being written by another driver (process {stopped.pid} on " in line
    assert stopped.settings[0] == stopped.settings[1]
    assert stopped.returncode == 130, stopped.err
    assert {trial.attempt for trial in trials_of(stopped.folder).values()} == {0}
    assert not (stopped.folder / ".lock.json").exists()


def test_signals_stop_cleanly_and_resume_goes_on_each_time(stopped: Stopped, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    shutil.copytree(stopped.folder, folder)
    assert stopped.returncode == 130, stopped.err
    assert stopped.out.splitlines()[-1] == (
        f"stopped by Ctrl-C; everything is saved: resume with python -m tune resume {stopped.folder}"
    )
    before = trials_of(folder)
    assert {trial.state for trial in before.values()} == {"interrupted"}
    assert (folder / "trials.csv").exists() and (folder / "best" / "grid.png").exists()
    wait_for(lambda: not processes_of(stopped.pid))

    driver = start(["resume", str(folder)])
    done = ticks_of(folder)
    wait_for(lambda: ticks_of(folder) >= done + 6)
    os.killpg(driver.pid, signal.SIGTERM)  # as `timeout` and a shell's `kill %1` do
    _, err = driver.communicate(timeout=HANGS_AFTER_S)
    assert driver.returncode == 143, err
    for number, trial in trials_of(folder).items():
        assert trial.values == before[number].values
        assert seen(trial) == [TICK * tick for tick in range(1, len(seen(trial)) + 1)]
        assert len(trial.ticks) - len(trial.valid_ticks()) <= 1
    wait_for(lambda: not processes_of(driver.pid))


@pytest.mark.usefixtures("shared_ray")
def test_a_killed_driver_loses_no_finished_trial_and_at_most_a_tick_of_a_running_one(
    tmp_path: Path, figure: Figure
) -> None:
    folder = tmp_path / "sweep"
    driver = start(sweep_command(tmp_path, trials=4, images=TICKS * TICK))
    wait_for(lambda: sum(trial.state == "completed" for trial in trials_of(folder).values()) >= 2)
    # both places are taken: one that was proposed and has not begun would be counted as lost with its driver
    wait_for(lambda: len(running(folder)) == 2)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate(timeout=HANGS_AFTER_S)
    before = trials_of(folder)

    assert main(["resume", str(folder)]) == 0
    after = trials_of(folder)
    assert [trial.state for trial in after.values()] == ["completed"] * 4
    for number, trial in before.items():
        assert after[number].values == trial.values
        assert seen(after[number]) == [TICK * tick for tick in range(1, TICKS + 1)]
        if trial.state == "completed":
            assert after[number].ticks == trial.ticks
        else:
            assert len(after[number].ticks) - TICKS <= 1
    figure("driver killed, resumed", standstill_s(after))


@pytest.mark.usefixtures("shared_ray")
def test_a_full_disk_ends_the_sweep_in_one_line_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record, count = EventLog.record, 0

    def fill_up(log: EventLog, event: object) -> None:
        nonlocal count
        count += 1
        if count > 12:
            raise WriteError("events.jsonl cannot be written: No space left on device; free some space")
        record(log, event)  # type: ignore[arg-type]

    monkeypatch.setattr(EventLog, "record", fill_up)
    assert main([*sweep_command(tmp_path, trials=3, images=10 * TICK), *ONE_GROUP]) == 1
    [line] = capsys.readouterr().err.splitlines()[-1:]
    assert "No space left on device" in line and "python -m tune resume" in line
    monkeypatch.undo()
    before = trials_of(tmp_path / "sweep")
    assert ticks_of(tmp_path / "sweep") > 0
    assert SweepFolder.at(str(tmp_path / "sweep")).config().trials == 3
    assert set(before) <= {0, 1, 2}
