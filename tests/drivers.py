"""Commands of artsweep as a terminal starts them: drivers, each with its workers in a session of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_started: list["subprocess.Popen[str]"] = []


def start(*words: str, through: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """`python -m` with these words; `through`: a command that runs what follows it."""
    driver = subprocess.Popen(
        [*through, sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        cwd=_ROOT,
    )
    _started.append(driver)
    return driver


def processes_of(session: int) -> dict[int, str]:
    """The living processes of a session that a driver leads, with their command lines."""
    listed = subprocess.run(
        ["ps", "-ww", "-s", str(session), "-o", "pid=,stat=,args="], capture_output=True, text=True
    )
    lines = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return {int(pid): command for pid, state, command in lines if "Z" not in state}


def end_session(session: int) -> None:
    """Kill what a killed driver has left: Ray 2.60 leaves the two agents of its node for some minutes."""
    for pid in processes_of(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def none_outlives() -> Iterator[None]:
    """End what was started within and still runs: a test that fails leaves it, to the cost of all others."""
    before = len(_started)
    yield
    for driver in _started[before:]:
        if driver.poll() is None:
            end_session(driver.pid)
        if driver.stdout is not None and not driver.stdout.closed:
            driver.communicate()
