"""What a sweep loses when the machine fails: a full disk, a clock that jumps, a kill at a bad moment."""

import contextlib
import itertools
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Figure
from tests.servers import s3_bucket
from tests.tune.driver.test_trouble import (
    TICK,
    seen,
    standstill_s,
    start,
    sweep_command,
    ticks_of,
    trials_of,
)
from tests.waiting import HANGS_AFTER_S, wait_for
from tune.records.trial_records import Trial

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cache")]

TICKS = 150
CLOCK = Path(__file__).with_name("clock.c")
DISK_MIB = 32


def finish(driver: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a driver that comes to its end."""
    out, err = driver.communicate(timeout=HANGS_AFTER_S)
    return driver.returncode, out, err


def kill(driver: subprocess.Popen[str]) -> None:
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate(timeout=HANGS_AFTER_S)


def check_nothing_is_lost(trials: dict[int, Trial], *, count: int, ticks: int, repeated: int) -> None:
    assert [trial.state for trial in trials.values()] == ["completed"] * count
    for trial in trials.values():
        assert seen(trial) == [TICK * tick for tick in range(1, ticks + 1)], "no tick is missing"
        assert len(trial.ticks) - ticks <= repeated, "of each trial"


# --- a death in the middle of a checkpoint


def saved(folder: Path) -> set[str]:
    return {f"{each.parent.name}/{each.name}" for each in folder.glob("trial_*/checkpoint_*")}


def test_a_driver_killed_in_the_middle_of_a_checkpoint_loses_no_trial(tmp_path: Path, figure: Figure) -> None:
    folder = tmp_path / "sweep"
    driver = start(sweep_command(tmp_path, trials=2, images=TICKS * TICK))
    hits, kills = 0, 0
    while hits < 3:
        kills += 1
        assert kills <= 6, "so few kills hit a checkpoint"
        begun = ticks_of(folder)
        wait_for(lambda begun=begun: ticks_of(folder) >= begun + 8)  # type: ignore[misc]
        before = saved(folder)
        while not saved(folder) - before:
            time.sleep(0.0005)
        kill(driver)
        logged = {state.path for trial in trials_of(folder).values() for state in trial.checkpoints}
        hits += bool(saved(folder) - logged)
        # a trial whose worker group came up late may not have saved yet
        newest = [trial.checkpoints[-1] for trial in trials_of(folder).values() if trial.checkpoints]
        assert newest and all((folder / state.path).is_dir() for state in newest)
        driver = start(["resume", str(folder)])
    code, _, err = finish(driver)
    assert code == 0, err
    check_nothing_is_lost(trials_of(folder), count=2, ticks=TICKS, repeated=kills)
    figure("driver killed in a checkpoint, resumed", standstill_s(trials_of(folder)))


# --- an object store, which cannot append


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a bucket on a server of moto's."""
    with s3_bucket(monkeypatch, "results") as url:
        yield url


def test_a_driver_killed_while_it_writes_to_s3_loses_no_trial(bucket: str, figure: Figure) -> None:
    folder = f"{bucket}/sweep"
    driver = start(sweep_command(bucket, trials=2, images=TICKS * TICK))
    for _ in range(2):
        begun = ticks_of(folder)
        wait_for(lambda begun=begun: ticks_of(folder) >= begun + 20)  # type: ignore[misc]
        time.sleep(2)  # what the log in the store does not have yet
        kill(driver)
        driver = start(["resume", folder])
    code, _, err = finish(driver)
    assert code == 0, err
    trials = trials_of(folder)
    # one for each kill, as far as the log in the store knew: it lags by up to 5 s
    check_nothing_is_lost(trials, count=2, ticks=TICKS, repeated=2)
    figure("driver killed, results on S3, resumed", standstill_s(trials))


# --- a disk that is full


class Disk:
    """A small disk that only the commands run here see, and this test by way of /proc."""

    def __init__(self, path: Path, pid: int) -> None:
        self.path, self._pid = path, pid

    @property
    def seen_from_here(self) -> Path:
        return Path(f"/proc/{self._pid}/root{self.path}")

    def words(self, *command: str) -> list[str]:
        """The command in that disk's world; it would start in another folder there."""
        here = ["sh", "-c", 'cd "$0" && exec "$@"', str(Path.cwd())]
        return ["nsenter", "--target", str(self._pid), "--mount", *here, *command]

    def fill(self) -> None:
        """Leave no byte free, as when somebody else has filled it."""
        with contextlib.suppress(OSError), (self.seen_from_here / "others").open("wb", 0) as file:
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        (self.seen_from_here / "others").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "setpriv"))):
        pytest.skip("a disk of its own needs root and util-linux")
    place = tmp_path / "disk"
    place.mkdir()
    script = f"mount -t tmpfs -o size={DISK_MIB}m small {place}; echo ready; exec sleep 3600"
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-ec", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield Disk(place, process.pid)
        process.kill()


def test_a_disk_that_runs_full_ends_the_sweep_in_one_line_and_resume_loses_nothing(
    disk: Disk, figure: Figure
) -> None:
    folder = disk.path / "sweep"
    command = sweep_command(disk.path, trials=4, images=TICKS * TICK)
    driver = start(command, through=disk.words())
    wait_for(lambda: ticks_of(disk.seen_from_here / "sweep") >= 20)
    disk.fill()
    code, _, err = finish(driver)
    assert code == 1
    [line] = err.splitlines()[-1:]
    assert "No space left on device" in line and f"python -m tune resume {folder}" in line
    before = trials_of(disk.seen_from_here / "sweep")
    assert sum(len(trial.ticks) for trial in before.values()) > 0

    disk.free()
    code, _, err = finish(start(["resume", str(folder)], through=disk.words()))
    assert code == 0, err
    after = trials_of(disk.seen_from_here / "sweep")
    assert all(after[number].values == trial.values for number, trial in before.items())
    # a state that could not be saved, then the log that could not be written
    check_nothing_is_lost(after, count=4, ticks=TICKS, repeated=2)
    figure("full disk, freed and resumed", standstill_s(after))


# --- a clock that jumps


@pytest.fixture
def set_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many seconds the wall clock of all processes that are started from here is ahead, at once."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a clock of its own needs Linux and a C compiler")
    clock, ahead = tmp_path / "clock.so", tmp_path / "ahead"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", clock, CLOCK, "-ldl"], check=True)
    ahead.write_bytes(struct.pack("l", 0))
    monkeypatch.setenv("LD_PRELOAD", str(clock))
    monkeypatch.setenv("CLOCK_AHEAD", str(ahead))

    def set_ahead(seconds: int) -> None:
        with ahead.open("r+b") as file:  # in place: it is mapped
            file.write(struct.pack("l", seconds))

    return set_ahead


def test_a_clock_that_jumps_costs_no_tick_and_ends_no_sweep(
    tmp_path: Path, set_clock: Callable[[int], None], figure: Figure
) -> None:
    folder = tmp_path / "sweep"
    driver = start([*sweep_command(tmp_path, trials=2, images=TICKS * TICK), "--time-budget", "30m"])
    for hours in (2, -1):
        begun = ticks_of(folder)
        wait_for(lambda begun=begun: ticks_of(folder) >= begun + 20)  # type: ignore[misc]
        set_clock(hours * 3600)
    code, _, err = finish(driver)
    assert code == 0, err
    trials = trials_of(folder)
    check_nothing_is_lost(trials, count=2, ticks=TICKS, repeated=0)
    assert all(trial.attempt == 0 for trial in trials.values())
    times = [tick.time for trial in trials.values() for tick in trial.valid_ticks()]
    assert max(times) - min(times) > 2.9 * 3600, "its clock did jump"
    steps = [b.time - a.time for trial in trials.values() for a, b in itertools.pairwise(trial.valid_ticks())]
    figure("clock set 2 h forward and 3 h back", max(step % 3600 for step in steps))
