"""`python -m gan`: train one GAN, sample images from it, measure it, look at it. Only this file exits."""

import sys
from collections.abc import Sequence

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
    from gan.cli.flags import Gallery, Report, Sample, Train, parse_command

    command, console = parse_command(words), Terminal()
    check_early(command)
    # torch and Ray take seconds to import, and what is wrong without them is reported before
    if isinstance(command, Train):
        from gan.cli.train import run_train

        return run_train(command, console)
    if isinstance(command, Report | Gallery):
        from gan.cli.report import run_gallery, run_report

        return run_report(command, console) if isinstance(command, Report) else run_gallery(command, console)
    from gan.cli.inspect import run_evaluate, run_sample

    return run_sample(command, console) if isinstance(command, Sample) else run_evaluate(command, console)


if __name__ == "__main__":
    leave(main())
