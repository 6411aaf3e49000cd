"""Shows a running sweep: a live table in a terminal, lines of text in a log."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.status import Status

from common.cli.progress import counted, say
from common.throttle import Throttle
from gan.cli.display import say_skipped
from gan.data.images import Images
from tune.display.board import live_board, whole_board
from tune.display.endings import end_lines
from tune.display.estimate import Schedule, estimate
from tune.display.summary import counts, images_of, summary
from tune.records.trial_records import Trial, best_of
from tune.space.space import Space

SECONDS_BETWEEN_REFRESHES = 1.0
SECONDS_BETWEEN_LINES = 60.0  # where there is no terminal, such as in a job's log
_SHARE_OF_TIME = 0.01  # each refresh reads all trials: with many trials it is less frequent


class SweepView:
    """A live table in a terminal; elsewhere a line for each trial that ends, and a summary every minute."""

    def __init__(
        self,
        console: Console,
        space: Space,
        metric: str,
        num_trials: int,
        *,
        schedule: Schedule | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._space, self._metric, self._num_trials = console, space, metric, num_trials
        self._schedule, self._clock = schedule, clock
        self._live: Live | None = None
        self._throttle = Throttle(SECONDS_BETWEEN_REFRESHES, _SHARE_OF_TIME, clock=clock)
        self._line_throttle = Throttle(
            SECONDS_BETWEEN_LINES, _SHARE_OF_TIME, is_due_at_once=False, clock=clock
        )
        self._started, self._started_at = clock(), time.time()
        self._ended: float | None = None
        self._images_before: int | None = None
        self._images_in_last_line = 0
        self._reported: set[int] = set()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Callable[[Any], None]]:
        """Show the progress of decoding images; yields the callback to call with it."""
        bar, move = counted(self._console, "reading images")
        with bar:
            yield move

    def say_skipped(self, images: Images) -> None:
        """Print the first unreadable files, if there are any."""
        say_skipped(self._console, images)

    def say(self, line: str | None) -> None:
        """Print a line, if there is one."""
        if line is not None:
            say(self._console, line)

    @contextlib.contextmanager
    def starting(self) -> Iterator[Callable[[Mapping[str, int]], None]]:
        """Show that workers start; yields the callback to call with the number of groups in each state."""
        say(self._console, "starting workers")
        with Status("starting workers", console=self._console) as status:
            yield lambda states: status.update(f"starting workers: {counts(states)}")

    @contextlib.contextmanager
    def confirming(self, count: int) -> Iterator[None]:
        """Show that `count` states are measured again."""
        if count == 0:
            yield
            return
        states = "1 state" if count == 1 else f"{count} states"
        with Status(f"measuring the best {states} again on fresh samples", console=self._console):
            yield

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Within the block `refresh` updates a live table, which disappears afterwards."""
        self._started, self._started_at = self._clock(), time.time()
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False, transient=True) as self._live:
                yield
            self._live = None
        else:
            yield
        self._ended = self._clock()  # what follows trains nothing, and does not count in the speed

    def refresh(self, trials: dict[int, Trial]) -> None:
        """Show the trials as they are now; does nothing when called again too soon."""
        if not self._throttle.is_due():
            return
        with self._throttle.timed():
            if self._images_before is None:
                self._images_before = self._images_in_last_line = images_of(trials)
            if self._live is not None:
                below = [self._summary(trials)]
                self._live.update(
                    live_board(self._console, trials, self._space, self._metric, below), refresh=True
                )
            else:
                self._print_ends(trials)
                self._print_progress(trials)

    def finish(self, trials: dict[int, Trial], total_images: int) -> None:
        """Print the ranking and how the trials ended; total_images: what a whole trial sees."""
        if not self._console.is_terminal:
            self._print_ends(trials)
        self._console.print(whole_board(self._console, trials, self._space, self._metric))
        say(self._console, self._summary(trials))
        for line in end_lines(trials, total_images):
            self.say(line)

    def _summary(self, trials: dict[int, Trial]) -> str:
        left = None
        if self._schedule is not None:
            left = estimate(self._schedule, trials, session_started=self._started_at, now=time.time())
        starts = (trial.attempt_started - self._started_at for trial in trials.values())
        waited = min((start for start in starts if start >= 0), default=0.0)  # for Tune and the first trial
        return summary(
            trials,
            self._metric,
            self._num_trials,
            seconds=(self._clock() if self._ended is None else self._ended) - self._started - waited,
            images=images_of(trials) - (self._images_before or 0),
            left=left,
        )

    def _print_ends(self, trials: dict[int, Trial]) -> None:
        for trial in trials.values():
            if trial.is_unfinished() or trial.number in self._reported:
                continue
            self._reported.add(trial.number)
            best = self._best(trial)
            value = f" {self._metric} {best:.4g}" if best is not None else ""
            reason = f": {trial.reason}" if trial.reason else ""
            say(self._console, f"trial {trial.number} {trial.state}{value}{reason}")

    def _print_progress(self, trials: dict[int, Trial]) -> None:
        """Print a summary when it is due and images were trained since the last one."""
        images = images_of(trials)
        if images == self._images_in_last_line or not self._line_throttle.is_due():
            return
        with self._line_throttle.timed():
            self._images_in_last_line = images
            line = self._summary(trials)
            first = best_of((self._best(trial), trial) for trial in trials.values())
            if first is not None:
                line += f"; best {self._metric} {self._best(first):.4g} of trial {first.number}"
            say(self._console, line)

    def _best(self, trial: Trial) -> float | None:
        """The trial's best value, None when it has none."""
        tick = trial.best_tick(self._metric)
        return tick.metrics[self._metric] if tick else None
