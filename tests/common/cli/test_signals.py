"""Signals end a command with their own exit code, whatever a library makes of them."""

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from common.cli.command import run_command
from common.cli.signals import Interrupted, deferred, interruptible

ROOT = Path(__file__).parents[3]
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("signum", SIGNALS)
def test_what_a_library_makes_of_a_signal_is_still_the_signal(
    signum: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def library() -> int:
        try:
            os.kill(os.getpid(), signum)
        except Interrupted as error:
            raise SystemError("<method> returned a result with an exception set") from error
        return 0

    assert run_command("python -m tune", library) == 128 + signum
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m tune: stopped by")


class Thing:
    """Something that can be referred to weakly."""


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_in_a_callback_whose_exceptions_python_drops_is_not_lost(
    signum: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def library() -> int:
        thing = Thing()
        # as at the end of each import, whose lock is removed by such a callback
        reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signum))
        del thing
        assert reference() is None
        time.sleep(10)
        return 0

    began = time.monotonic()
    assert run_command("python -m gan", library) == 128 + signum
    assert time.monotonic() - began < 5
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m gan: stopped by")


def test_a_second_signal_does_not_cut_the_clean_up_or_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    cleaned: list[str] = []
    before = signal.getsignal(signal.SIGINT)  # ignored where a shell started the tests in the background

    def library() -> int:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append("all")
        return 0

    assert run_command("python -m gan", library) == 130
    assert cleaned == ["all"]
    assert capsys.readouterr().err == "python -m gan: stopped by Ctrl-C\n"
    assert signal.getsignal(signal.SIGINT) is before, "handlers are as before"


def test_an_error_without_a_signal_stays_what_it_is() -> None:
    with pytest.raises(SystemError), interruptible():
        raise SystemError
    with pytest.raises(SystemExit), interruptible():
        raise SystemExit(3)


def test_a_deferred_signal_waits_until_it_is_asked_for() -> None:
    with pytest.raises(Interrupted) as caught, interruptible(), deferred() as check:
        os.kill(os.getpid(), signal.SIGTERM)
        check()
    assert caught.value.exit_code == 143


def test_a_thread_which_gets_no_signals_may_defer_them() -> None:
    done: list[str] = []

    def work() -> None:
        with interruptible(), deferred() as check:
            check()
            done.append("all")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["all"]


ENDS = """
import atexit, os, signal, sys, time
from common.cli.command import leave
def shut_down():
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(30)
atexit.register(shut_down)
print("results: runs/x")
leave(3)
"""


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_while_python_shuts_down_ends_it_with_its_code_and_all_that_was_printed(
    signum: signal.Signals,
) -> None:
    words = [sys.executable, "-c", ENDS, str(int(signum))]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "results: runs/x\n", "")


STOPPED_IN_AN_IMPORT = """
import builtins, os, runpy, signal, sys
package, module, signum = sys.argv[1], sys.argv[2], int(sys.argv[3])
honest = builtins.__import__
def hit(name, *rest, **named):
    if name == module:
        builtins.__import__ = honest
        os.kill(os.getpid(), signum)
    return honest(name, *rest, **named)
builtins.__import__ = hit
sys.argv = [package, "--help"]
runpy.run_module(package, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("package", "module", "signum"),
    [
        ("gan", "gan.cli.flags", signal.SIGINT),
        ("tune", "tune.cli.flags", signal.SIGTERM),
        ("styletransfer", "tyro", signal.SIGINT),
        ("perceptual.train", "perceptual.train.config", signal.SIGTERM),
    ],
)
def test_a_signal_while_a_commands_flags_are_imported_is_one_line(
    package: str, module: str, signum: signal.Signals
) -> None:
    words = [sys.executable, "-c", STOPPED_IN_AN_IMPORT, package, module, str(int(signum))]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 128 + signum, done.stderr
    name = "Ctrl-C" if signum == signal.SIGINT else "SIGTERM"
    assert (done.stdout, done.stderr) == ("", f"python -m {package}: stopped by {name}\n")
