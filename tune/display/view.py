"""Shows a running sweep: a live table in a terminal, lines of text in a log."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import rich.console
from rich.console import Console, Group
from rich.live import Live
from rich.status import Status
from rich.text import Text

from common.cli.progress import counted, say
from common.text import duration
from common.throttle import Throttle
from gan.cli.display import say_skipped
from gan.data.images import Images
from tune.display.leaderboard import leaderboard
from tune.display.second_opinion import second_opinion
from tune.display.troubles import troubles
from tune.records.events import StateConfirmed
from tune.records.tables import trials_table
from tune.records.trial_records import BASELINE_NUMBER, Trial, best_first, best_of, failed_winner
from tune.space.space import Space

SECONDS_BETWEEN_REFRESHES = 1.0
SECONDS_BETWEEN_LINES = 60.0  # where there is no terminal, such as in a job's log
_SHARE_OF_TIME = 0.01  # each refresh reads all trials: with many trials it is less frequent
LIVE_ROWS = 12
FINAL_ROWS = 50


class SweepView:
    """A live table in a terminal; elsewhere a line for each trial that ends, and a summary every minute."""

    def __init__(
        self,
        console: Console,
        space: Space,
        metric: str,
        num_trials: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._space, self._metric, self._num_trials = console, space, metric, num_trials
        self._clock = clock
        self._live: Live | None = None
        self._throttle = Throttle(SECONDS_BETWEEN_REFRESHES, _SHARE_OF_TIME, clock=clock)
        self._line_throttle = Throttle(
            SECONDS_BETWEEN_LINES, _SHARE_OF_TIME, is_due_at_once=False, clock=clock
        )
        self._started = clock()
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
            yield lambda states: status.update(f"starting workers: {_counts(states)}")

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
        self._started = self._clock()
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    def refresh(self, trials: dict[int, Trial]) -> None:
        """Show the trials as they are now; does nothing when called again too soon."""
        if not self._throttle.is_due():
            return
        with self._throttle.timed():
            if self._images_before is None:
                self._images_before = self._images_in_last_line = _images(trials)
            if self._live is not None:
                self._live.update(Group(self._board(trials), Text(self._summary(trials))), refresh=True)
            else:
                self._print_ends(trials)
                self._print_progress(trials)

    def finish(self, trials: dict[int, Trial], total_images: int) -> None:
        """Print the ranking and how the trials ended; total_images: what a whole trial sees."""
        if not self._console.is_terminal:
            self._print_ends(trials)
        self._console.print(self._board(trials, FINAL_ROWS))
        say(self._console, self._summary(trials))
        self.say(troubles(trials, total_images))
        self.say(confirmation_line(trials))
        self.say(second_opinion(trials))
        self.say(failed_winner(trials))

    def _board(self, trials: dict[int, Trial], top: int = LIVE_ROWS) -> rich.console.RenderableType:
        table = trials_table(trials, self._space, self._metric)
        return leaderboard(table, self._space, self._metric, top=top, width=self._console.width)

    def _summary(self, trials: dict[int, Trial]) -> str:
        states = Counter[str](trial.state for trial in trials.values())
        seconds = self._clock() - self._started
        rate = (_images(trials) - (self._images_before or 0)) / max(seconds, 1e-9)
        ticks = [tick.metrics for trial in trials.values() for _, tick in trial.ticks]
        noise = next((metrics.get(f"{self._metric}_noise") for metrics in ticks), None)
        parts = [
            f"{len(trials)} of {self._num_trials} trials: {_counts(states) or 'none yet'}",
            f"{duration(seconds)}, {rate:,.0f} images/s",
        ]
        if noise is not None:
            parts.append(f"noise floor of {self._metric} (real against real) {noise:.3g}")
        train_s, evaluate_s = (_total(ticks, name) for name in ("train_s", "evaluate_s"))
        if evaluate_s > 0:
            parts.append(f"{evaluate_s / (train_s + evaluate_s):.0%} of the time spent measuring")
        remaining = self._remaining_s(trials, seconds)
        if remaining is not None and "running" in states:
            parts.append(f"about {duration(remaining)} left")
        return "; ".join(parts)

    def _remaining_s(self, trials: dict[int, Trial], seconds: float) -> float | None:
        """An estimate that later trials see as many images on average as the ended ones."""
        ended = [trial for trial in trials.values() if not trial.is_unfinished() and trial.ticks]
        done = _images(trials) - (self._images_before or 0)
        if not ended or done <= 0:
            return None
        mean = sum(trial.images_seen for trial in ended) / len(ended)
        open_images = sum(
            max(0.0, mean - trial.images_seen) for trial in trials.values() if trial.is_unfinished()
        )
        return (open_images + mean * max(0, self._num_trials - len(trials))) * seconds / done

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
        images = _images(trials)
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


def confirmation_line(trials: Mapping[int, Trial]) -> str | None:
    """The values of the states that were measured again, the winner first; None where there are none."""
    confirmed = [(trial, state) for trial in trials.values() for state in trial.confirmed.values()]
    found = best_first((state.value, (trial, state)) for trial, state in confirmed)
    if not found:
        return None
    values = ", ".join(f"{state.value:.4g} of {_which(trial, state)}" for trial, state in found)
    metric, noise = found[0][1].metric, found[0][1].noise
    return f"measured again on fresh samples, {metric}: {values}; noise floor {noise:.3g}"


def _which(trial: Trial, state: StateConfirmed) -> str:
    """`trial 0 (base settings) at 64,000 images`; the images where two states of one trial were measured."""
    images = next((each.images_seen for each in trial.checkpoints if each.path == state.path), None)
    at = f" at {images:,} images" if images is not None and len(trial.confirmed) > 1 else ""
    return f"trial {trial.number}{' (base settings)' if trial.number == BASELINE_NUMBER else ''}{at}"


def _images(trials: dict[int, Trial]) -> int:
    return sum(trial.images_seen for trial in trials.values())


def _total(ticks: list[Mapping[str, float]], name: str) -> float:
    return sum(metrics.get(name) or 0.0 for metrics in ticks)


def _counts(states: Mapping[str, int]) -> str:
    """`2 completed, 1 running`."""
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
