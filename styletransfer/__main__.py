"""`python -m styletransfer`: stylizes every photo in the style of every painting. Only this file exits."""

import sys
from collections.abc import Sequence

from common.cli.command import leave, run_command


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    0 all pairs are done, 2 the command is wrong, 3 some pairs have failed, 130 and 143 stopped by a signal.
    """
    words = sys.argv[1:] if args is None else args
    return run_command("python -m styletransfer", lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    # imported here, where a signal is caught
    from common.cli.terminal import Terminal
    from common.cluster.address import check_address
    from styletransfer.commands import parse_command

    command = parse_command(words)
    if not command.dry_run:
        check_address(command.address)
    # torch and Ray take seconds, and what is wrong without them is reported before
    from styletransfer.run import run

    return run(command, Terminal())


if __name__ == "__main__":
    leave(main())
