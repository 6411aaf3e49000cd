"""Trains the compact network's weights by classification on a folder of class folders.

    python -m perceptual.train tiny-imagenet-200/train --out weights/compact-2

Writes `<out>.safetensors` (half precision) and `<out>.json`, the figures of its model card. The flags are in
`perceptual.train.config`.
"""

import sys
from collections.abc import Sequence

from common.cli.command import leave, run_command

PROG = "python -m perceptual.train"


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    0 done, 2 the command is wrong, 130 and 143 stopped by a signal.
    """
    words = sys.argv[1:] if args is None else args
    return run_command(PROG, lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    # imported here, where a signal is caught
    from common.cli.parsing import parse
    from perceptual.train.config import TrainConfig

    description = "Train the compact network on a folder of classes."
    config: TrainConfig = parse(TrainConfig, words, prog=PROG, description=description)
    # imported late: torch takes seconds, and wrong flags should be reported before that
    from common.cli.terminal import Terminal
    from perceptual.train.run import run_train

    return run_train(config, Terminal())


if __name__ == "__main__":
    leave(main())
