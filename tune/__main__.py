"""`python -m tune`: runs its commands. Only this file exits."""

import sys
from collections.abc import Sequence

from common.cli.command import leave, run_command


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    0 done, 1 the sweep could not continue, 2 the command is wrong, 130 and 143 stopped by a signal.
    """
    words = sys.argv[1:] if args is None else args
    return run_command("python -m tune", lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    # imported here, where a signal is caught
    from common.cli.terminal import Terminal
    from tune.cli.flags import Best, Resume, Status, parse_command

    command, console = parse_command(words), Terminal()
    # each command imports what it needs: Ray and torch take seconds
    if isinstance(command, Best):
        from tune.cli.best import run_best

        return run_best(command, console)
    if isinstance(command, Status):
        from tune.cli.status import run_status

        return run_status(command, console)
    from tune.cli.sweeping import run_new_sweep, run_resume

    return run_resume(command, console) if isinstance(command, Resume) else run_new_sweep(command, console)


if __name__ == "__main__":
    leave(main())
