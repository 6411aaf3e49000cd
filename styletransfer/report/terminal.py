"""Shows the progress of a batch: by a bar in a terminal, else, such as in a job's log, by lines."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from rich.console import Console
from rich.status import Status

from common.cli.progress import progress_bar, say
from common.text import duration, printable

SECONDS_BETWEEN_LINES = 15.0
_LEAST_SHOWN = 0.05  # of a pair


class Counts(Protocol):
    """How far a batch is."""

    total: int
    """Pairs to stylize."""
    done: int
    failed: int
    seconds: float
    """Of optimization, over all pairs done."""
    first_error: str


class PairSteps(Protocol):
    """How far a pair in work is, in evaluations; all 0 where that is not known."""

    @property
    def begun(self) -> int:
        """Where this attempt began: above 0 for a pair that was interrupted."""

    @property
    def done(self) -> int:
        """Evaluations done."""

    @property
    def total(self) -> int:
        """Of how many."""


class BatchView:
    """A bar with counts, rate and failures in a terminal; elsewhere a line every `SECONDS_BETWEEN_LINES`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = progress_bar(console, with_time_left=False)
        self._counts: Counts | None = None
        self._began = self._next_line_s = time.monotonic()
        self._shown = 0.0
        self._is_ready = False

    def say(self, line: str) -> None:
        """Print one line, above the bar if there is one."""
        say(self._console, line)

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show within the block that something takes a moment."""
        with Status(what, console=self._console):
            yield

    @contextlib.contextmanager
    def stylizing(self, counts: Counts) -> Iterator[None]:
        """Within the block `refresh` shows the progress that `counts` holds."""
        self._counts = counts
        self._task = self._bar.add_task("starting workers", total=counts.total, text="")
        with self._bar:
            yield

    def ready(self) -> None:
        """A worker is ready: the rate is measured from the first time that this is called."""
        if self._is_ready:
            return
        self._is_ready = True
        self._began = time.monotonic()
        self._next_line_s = self._began + SECONDS_BETWEEN_LINES
        self._bar.update(self._task, description="stylizing")

    def refresh(self, in_work: Sequence[PairSteps] = ()) -> None:
        """Show the counts as they are now, and how far the pairs in work are."""
        counts = self._counts
        assert counts is not None
        ended = counts.done + counts.failed
        known = [steps for steps in in_work if steps.total]
        reached = sum(steps.done / steps.total for steps in known)
        made_here = counts.done + sum((steps.done - steps.begun) / steps.total for steps in known)
        left = self._left(made_here, counts.total - ended - reached)
        if self._console.is_terminal:
            text = f"{self._rate(made_here)}{left}{_failures(counts)}"
            self._bar.update(self._task, completed=min(ended + reached, counts.total), text=text)
        elif ended + reached > self._shown and time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + SECONDS_BETWEEN_LINES
            self._shown = ended + reached
            begun = f" and {reached:.1f} of those in work" if reached >= _LEAST_SHOWN else ""
            self.say(
                f"{ended} of {counts.total} pairs{begun}, {self._rate(made_here)}{left}{_failures(counts)}"
            )

    def _left(self, made: float, left: float) -> str:
        """The time left, by the time that pairs took so far: failures take less, and count as none."""
        if made < _LEAST_SHOWN:
            return ""
        return f", about {duration((time.monotonic() - self._began) * left / made)} left"

    def summary(self) -> str:
        """`7 of 25 pairs done, 1 failed`."""
        counts = self._counts
        if counts is None:
            return "no pair done yet"
        return f"{counts.done} of {counts.total} pairs done{_failures(counts)}"

    def finish(self, ready_s: float, working_s: float) -> None:
        """Print how the batch ended, and which share of the workers' time was optimization.

        ready_s: their time since they were ready; working_s: the same, up to each worker's last pair.
        """
        counts = self._counts
        assert counts is not None
        took = duration(time.monotonic() - self._began)
        whole, until_last = (counts.seconds / max(seconds, 1e-9) for seconds in (ready_s, working_s))
        self.say(
            f"{self.summary()} in {took}, {self._rate(counts.done)}; workers busy {whole:.1%}, "
            f"{until_last:.1%} up to the last pair of each"
        )
        if counts.first_error:
            self.say(f"first failure: {printable(counts.first_error)}")

    def _rate(self, made: float) -> str:
        minutes = max(time.monotonic() - self._began, 1e-9) / 60
        return f"{made / minutes:.3g} pairs/min"


def _failures(counts: Counts) -> str:
    return f", {counts.failed} failed" if counts.failed else ""
