"""`python -m tune`: runs the commands sweep, resume and best. Only this file exits."""

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
    from tune.commands import parse_command
    from tune.run import run

    return run(parse_command(words), Terminal())


if __name__ == "__main__":
    leave(main())
