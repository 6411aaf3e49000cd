"""Signals end a command with their own exit code, whatever a library makes of them."""

import os
import signal

import pytest

from common.cli.parsing import run_command
from common.cli.signals import Interrupted, deferred, interruptible


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
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
