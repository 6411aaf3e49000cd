"""`python -m gan`: train one GAN, sample images from it, measure it, look at it. Only this file exits."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gan.cli.flags import GanCommand

from common.cli.command import leave, run_command


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    0 done, 1 the run diverged or failed, 2 the command is wrong, 130 and 143 stopped by a signal.
    """
    words = sys.argv[1:] if args is None else args
    return run_command("python -m gan", lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    # imported here, where a signal is caught
    from common.cli.terminal import Terminal
    from gan.cli.early import check_early
    from gan.cli.flags import parse_command

    command, console = parse_command(words), Terminal()
    check_early(command)
    # torch and Ray take seconds to import, and what is wrong without them is reported before
    return _runner(command)(command, console)


def _runner(command: "GanCommand") -> Callable[..., int]:
    """The function that runs a command."""
    from gan.cli import flags

    match command:
        case flags.Train():
            from gan.cli.train import run_train

            return run_train
        case flags.Describe():
            from gan.cli.describe import run_describe

            return run_describe
        case flags.Sample():
            from gan.cli.sample import run_sample

            return run_sample
        case flags.Export():
            from gan.cli.export import run_export

            return run_export
        case flags.Evaluate():
            from gan.cli.inspect import run_evaluate

            return run_evaluate
        case flags.Report():
            from gan.cli.report import run_report

            return run_report
        case flags.Gallery():
            from gan.cli.report import run_gallery

            return run_gallery


if __name__ == "__main__":
    leave(main())
