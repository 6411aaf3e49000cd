"""Runs a command from its first import to its exit code: errors and signals become one line on stderr.

Light to import, so that a signal is caught from the first moment on, while the command's own imports run.
"""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from common.cli.signals import Interrupted, handle_signals, handled_by, interruptible
from common.errors import ConfigError


def run_command(prog: str, run: Callable[[], int]) -> int:
    """Call `run` and return its exit code; a ConfigError or a signal is printed as one line on stderr.

    Exit codes of errors: 2 for a ConfigError, 130 and 143 for a stop by Ctrl-C and SIGTERM, 1 without a word
    where nobody reads stdout any more, as after `| head`.
    """
    with handled_by(signal.SIG_IGN):  # what the block below restores: a second Ctrl-C must not cut its line
        try:
            with interruptible():
                return run()
        except ConfigError as error:
            problem, exit_code = str(error), 2
        except Interrupted as interrupted:
            problem, exit_code = str(interrupted), interrupted.exit_code
        except BrokenPipeError:
            if not _stdout_has_lost_its_reader():  # some other pipe or connection: a fault
                raise
            _discard_stdout()
            return 1
        from common.cli.terminal import complain  # rich takes longer than all that is imported above

        complain(prog, problem)
        return exit_code


def _stdout_has_lost_its_reader() -> bool:
    try:
        stdout = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # none, or not a file
        return False
    poll = select.poll()
    poll.register(stdout, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _discard_stdout() -> None:
    # what is still buffered is written when Python shuts down, and would break again
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def leave(exit_code: int) -> NoReturn:
    """End this process; a signal while Python shuts down ends it at once, without a word and with this code.

    That takes a moment after torch and Ray, in which Ctrl-C would print a traceback.
    """

    with contextlib.suppress(OSError):  # Python itself says it when it shuts down
        sys.stdout.flush()
    handle_signals(lambda *_: os._exit(exit_code))
    sys.exit(exit_code)
