"""`python -m tune`: runs its commands. Only this file exits."""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from common.cli.command import leave, run_command

if TYPE_CHECKING:
    from rich.console import Console


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    0 done, 1 the sweep could not continue, 2 the command is wrong, 130 and 143 stopped by a signal.
    """
    words = sys.argv[1:] if args is None else args
    return run_command("python -m tune", lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    # imported here, where a signal is caught
    from common.cli.terminal import Terminal
    from tune.cli.flags import Best, Resume, Sweep, parse_command
    from tune.cli.looking import Compare, Dashboard, Report, Status

    command, console = parse_command(words), Terminal()
    # each command's module imports what it needs: Ray and torch take seconds
    module, function = {
        Sweep: ("tune.cli.sweeping", "run_new_sweep"),
        Resume: ("tune.cli.sweeping", "run_resume"),
        Best: ("tune.cli.best", "run_best"),
        Report: ("tune.cli.report", "run_report"),
        Compare: ("tune.cli.report", "run_compare"),
        Dashboard: ("tune.cli.dashboard", "run_dashboard"),
        Status: ("tune.cli.status", "run_status"),
    }[type(command)]
    run: Callable[[object, Console], int] = getattr(importlib.import_module(module), function)
    return run(command, console)


if __name__ == "__main__":
    leave(main())
