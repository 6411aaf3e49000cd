"""Runs `python -m tune status`: shows a sweep from its folder alone, once or until it ends; without Ray."""

import json
import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live

from common.cli.progress import say
from common.storage.folder import FileStatus
from common.storage.lock_state import lock_state
from common.storage.reach import check_reachable
from tune.cli.looking import Status as StatusCommand
from tune.display.endings import end_lines
from tune.display.status import Status
from tune.records.event_reading import damage, read_events
from tune.records.events import LOG_NAME, SweepEvent
from tune.records.standing import standing
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial, collect

NOTHING_YET = "no trial has begun yet"


def run_status(command: StatusCommand, console: Console) -> int:
    """Show how a sweep stands; with `--watch` again and again until it no longer runs. Returns 0.

    Raises: ConfigError when there is no sweep or it cannot be read.
    """
    check_reachable(command.directory, flag="the sweep's folder")
    reader = _Reader(SweepFolder.at(command.directory))
    if command.json:
        _watch_as_json(command, reader)
    elif command.watch is None:
        _show_once(console, reader)
    elif console.is_terminal:
        _watch_live(command.watch, console, reader)
    else:
        _watch_as_lines(command.watch, console, reader)
    return 0


class _Reader:
    """Reads a sweep's folder; a log that has not changed is not read again."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._read: FileStatus | None = None
        self._events: list[SweepEvent] = []
        self.trials: dict[int, Trial] = {}

    def status(self) -> Status:
        """The sweep as it is now."""
        folder = self._folder
        # the lock first: a driver that ends meanwhile has written all of its events
        lock = lock_state(folder.files)
        config, log = folder.config(), folder.files.status(LOG_NAME)
        if log is None or log != self._read:
            self._read, self._events = log, read_events(folder.location)
            self.trials = collect(self._events)
        stands = standing(self._events, self.trials, config.trials, lock)
        return Status(folder.location, config, self.trials, stands)

    def board(self, console: Console, status: Status, below: Sequence[str] | None = None) -> Group:
        """The table; with lines below it, as high as the terminal at most, else in full."""
        from tune.display.board import (  # pandas takes long
            FINAL_ROWS,
            LIVE_ROWS,
            live_board,
            plain,
            whole_board,
        )

        if not self.trials:
            return Group(*plain([NOTHING_YET, *(below or [])]))
        space = self._folder.space(status.config)
        if below is not None:
            return live_board(console, self.trials, space, status.metric, below)
        rows = FINAL_ROWS if status.standing.state == "finished" else LIVE_ROWS
        return whole_board(console, self.trials, space, status.metric, rows)


def _show_once(console: Console, reader: _Reader) -> Status:
    status = reader.status()
    say(console, status.headline())
    console.print(reader.board(console, status))
    say(console, status.summary())
    if status.standing.state != "running":
        for line in end_lines(status.trials, status.config.gan.total_images()):
            say(console, line)
    if (damaged := damage(status.location)) is not None:
        say(console, damaged)
    for what, words in status.next_commands().items():
        say(console, f"{what}: {words}")
    return status


def _watch_live(seconds: float, console: Console, reader: _Reader) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            status = reader.status()
            if not _goes_on(status):
                break
            below = [status.summary(), f"{status.headline()}; Ctrl-C ends this view, not the sweep"]
            live.update(reader.board(console, status, below), refresh=True)
            time.sleep(seconds)
    _show_once(console, reader)


def _watch_as_lines(seconds: float, console: Console, reader: _Reader) -> None:
    shown = -1
    while True:
        status = reader.status()
        if not _goes_on(status):
            break
        events = sum(len(trial.ticks) for trial in status.trials.values())
        if events != shown:
            shown = events
            say(console, status.summary())
        time.sleep(seconds)
    _show_once(console, reader)


def _watch_as_json(command: StatusCommand, reader: _Reader) -> None:
    """One object on a line, with `--watch` one each time."""
    while True:
        status = reader.status()
        # not by rich, which wraps
        print(json.dumps(status.as_json(), allow_nan=False), flush=True)
        if command.watch is None or not _goes_on(status):
            return
        time.sleep(command.watch)


def _goes_on(status: Status) -> bool:
    return status.standing.state in ("running", "unknown")
