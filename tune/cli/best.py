"""Runs `python -m tune best`: exports the winner's settings."""

import json
import shlex
from pathlib import Path

from rich.console import Console

from common.cli.progress import say
from common.storage.atomic import replace_file
from common.storage.reach import check_reachable
from tune.cli.flags import Best
from tune.records.event_reading import read_events
from tune.records.export_best import best_config
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import collect, failed_winner


def run_best(command: Best, console: Console) -> int:
    """Write the settings of the best trial to a file; returns the exit code, 0.

    Raises: ConfigError when there is no sweep or no trial with a value.
    """
    check_reachable(command.directory, flag="the sweep's folder")
    folder = SweepFolder.at(command.directory)
    trials = collect(read_events(folder.location))
    config = best_config(folder.config().gan, trials, keep_seed=command.keep_seed)
    replace_file(Path(command.out), (json.dumps(config.to_dict(), indent=2) + "\n").encode())
    train = f"python -m gan train --config {shlex.quote(command.out)}"
    say(console, f"wrote {command.out}; train it with {train}")
    if not command.keep_seed:
        say(console, f"its seed is {config.seed}, another than the trial's; --keep-seed repeats the trial")
    warning = failed_winner(trials)
    if warning is not None:
        say(console, warning)
    return 0
