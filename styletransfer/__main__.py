"""`python -m styletransfer`: stylizes every photo in the style of every painting. Only this file exits."""

import sys
from collections.abc import Sequence

from common.cli.parsing import run_command
from common.cli.terminal import Terminal
from styletransfer.commands import PROG, Batch, parse_command


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    0 all pairs are done, 2 the command is wrong, 3 some pairs have failed, 130 and 143 stopped by a signal.
    """
    words = sys.argv[1:] if args is None else args
    return run_command(PROG, lambda: _run(parse_command(words), Terminal()))


def _run(command: Batch, console: Terminal) -> int:
    # imported here: torch and Ray take seconds, and a wrong flag is reported before
    from styletransfer.run import run

    return run(command, console)


if __name__ == "__main__":
    sys.exit(main())
