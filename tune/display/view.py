"""How a sweep looks in a terminal, and what it prints elsewhere; not where its numbers come from."""

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
from tune.records.tables import trials_table
from tune.records.trial_records import Trial, best_of
from tune.space.space import Space
from tune.worker_groups.messages import GangStatus

SECONDS_BETWEEN_REFRESHES = 1.0
SECONDS_BETWEEN_LINES = 60.0  # where there is no terminal, such as in a job's log
_SHARE_OF_TIME = 0.01  # all trials are looked at: of many more seldom
LIVE_ROWS = 12
FINAL_ROWS = 50


class SweepView:
    """A live table in a terminal; elsewhere a line for each trial that ends, and one on all now and then."""

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
        self._images_told = 0
        self._told: set[int] = set()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Callable[[Any], None]]:
        """Shows how far the images are decoded; yields the callback that is told."""
        bar, move = counted(self._console, "reading images")
        with bar:
            yield move

    def say_skipped(self, images: Images) -> None:
        """Name the first of the unreadable files, if there are any."""
        say_skipped(self._console, images)

    def say(self, line: str | None) -> None:
        """One line of news, if there is any."""
        if line is not None:
            say(self._console, line)

    @contextlib.contextmanager
    def starting(self) -> Iterator[Callable[[list[GangStatus]], None]]:
        """Shows that workers start; yields the callback that is told."""
        say(self._console, "starting workers")
        with Status("starting workers", console=self._console) as status:
            yield lambda gangs: status.update(f"starting workers: {_states(gangs)}")

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Within the block `refresh` keeps a table up to date; it is gone afterwards."""
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
                self._images_before = self._images_told = _images(trials)
            if self._live is not None:
                self._live.update(Group(self._board(trials), Text(self._summary(trials))), refresh=True)
            else:
                self._tell_ends(trials)
                self._tell_progress(trials)

    def finish(self, trials: dict[int, Trial]) -> None:
        """Print the ranking and how the trials ended."""
        if not self._console.is_terminal:
            self._tell_ends(trials)
        self._console.print(self._board(trials, FINAL_ROWS))
        say(self._console, self._summary(trials))

    def _board(self, trials: dict[int, Trial], top: int = LIVE_ROWS) -> rich.console.RenderableType:
        table = trials_table(trials, self._space, self._metric)
        return leaderboard(table, self._space, self._metric, top=top, width=self._console.width)

    def _summary(self, trials: dict[int, Trial]) -> str:
        states = Counter(trial.state for trial in trials.values())
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        seconds = self._clock() - self._started
        rate = (_images(trials) - (self._images_before or 0)) / max(seconds, 1e-9)
        ticks = [tick.numbers for trial in trials.values() for _, tick in trial.ticks]
        noise = next((numbers.get(f"{self._metric}_noise") for numbers in ticks), None)
        parts = [
            f"{len(trials)} of {self._num_trials} trials: {counts or 'none yet'}",
            f"{duration(seconds)}, {rate:,.0f} images/s",
        ]
        if noise is not None:
            parts.append(f"noise of {self._metric} (real against real) {noise:.3g}")
        train_s, evaluate_s = (_total(ticks, name) for name in ("train_s", "evaluate_s"))
        if evaluate_s > 0:
            parts.append(f"{evaluate_s / (train_s + evaluate_s):.0%} of the time to measure")
        remaining = self._remaining_s(trials, seconds)
        if remaining is not None and "running" in states:
            parts.append(f"about {duration(remaining)} left")
        return "; ".join(parts)

    def _remaining_s(self, trials: dict[int, Trial], seconds: float) -> float | None:
        """An estimate from the trials that have ended: those to come take as many images on average."""
        ended = [trial for trial in trials.values() if not trial.is_unfinished() and trial.ticks]
        done = _images(trials) - (self._images_before or 0)
        if not ended or done <= 0:
            return None
        mean = sum(trial.ticks[-1][1].images_seen for trial in ended) / len(ended)
        open_images = sum(
            max(0.0, mean - (trial.ticks[-1][1].images_seen if trial.ticks else 0))
            for trial in trials.values()
            if trial.is_unfinished()
        )
        return (open_images + mean * max(0, self._num_trials - len(trials))) * seconds / done

    def _tell_ends(self, trials: dict[int, Trial]) -> None:
        for trial in trials.values():
            if trial.is_unfinished() or trial.number in self._told:
                continue
            self._told.add(trial.number)
            best = self._best(trial)
            value = f" {self._metric} {best:.4g}" if best is not None else ""
            reason = f": {trial.reason}" if trial.reason else ""
            say(self._console, f"trial {trial.number} {trial.state}{value}{reason}")

    def _tell_progress(self, trials: dict[int, Trial]) -> None:
        """A line when it is time for one and something has been trained since the last."""
        images = _images(trials)
        if images == self._images_told or not self._line_throttle.is_due():
            return
        with self._line_throttle.timed():
            self._images_told = images
            line = self._summary(trials)
            bests = ((self._best(trial), trial) for trial in trials.values())
            first = best_of(bests, lower_is_better=True)
            if first is not None:
                line += f"; best {self._metric} {self._best(first):.4g} of trial {first.number}"
            say(self._console, line)

    def _best(self, trial: Trial) -> float | None:
        """Its best measured value, None when it has none."""
        values = (tick.numbers.get(self._metric) for tick in trial.valid_ticks())
        return best_of(((value, value) for value in values), lower_is_better=True)


def _images(trials: dict[int, Trial]) -> int:
    return sum(trial.ticks[-1][1].images_seen for trial in trials.values() if trial.ticks)


def _total(ticks: list[Mapping[str, float]], name: str) -> float:
    return sum(numbers.get(name) or 0.0 for numbers in ticks)


def _states(gangs: list[GangStatus]) -> str:
    counts = Counter(gang.state for gang in gangs)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
