"""How a batch looks in a terminal, and the plain lines that it prints elsewhere; `ledger` counts."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.status import Status

from common.cli.progress import progress_bar, say
from common.text import duration, printable
from styletransfer.execution.result_log import Ledger

SECONDS_BETWEEN_LINES = 15.0


class BatchView:
    """A bar with counts, rate and failures in a terminal; elsewhere a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = progress_bar(console)
        self._ledger: Ledger | None = None
        self._began = self._next_line_s = time.monotonic()
        self._told = 0

    def say(self, line: str) -> None:
        """Print one line, above the bar if there is one."""
        say(self._console, line)

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Shows that something takes a moment."""
        with Status(what, console=self._console):
            yield

    @contextlib.contextmanager
    def drawing(self, ledger: Ledger) -> Iterator[None]:
        """Within the block `refresh` shows how far the ledger's batch is."""
        self._ledger = ledger
        self._task = self._bar.add_task("starting workers", total=ledger.total, text="")
        with self._bar:
            yield

    def ready(self) -> None:
        """The first worker is ready: from now on the rate counts."""
        self._began = time.monotonic()
        self._next_line_s = self._began + SECONDS_BETWEEN_LINES
        self._bar.update(self._task, description="drawing")

    def refresh(self) -> None:
        """Show the counts as they are now."""
        ledger = self._ledger
        assert ledger is not None
        if self._console.is_terminal:
            text = f"{self._rate(ledger)}{_failures(ledger)}"
            self._bar.update(self._task, completed=ledger.ended, text=text)
        elif ledger.ended > self._told and time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + SECONDS_BETWEEN_LINES
            self._told = ledger.ended
            seconds_left = (time.monotonic() - self._began) * (ledger.total - ledger.ended) / ledger.ended
            self.say(
                f"{ledger.ended} of {ledger.total} pairs, {self._rate(ledger)}, "
                f"about {duration(seconds_left)} left{_failures(ledger)}"
            )

    def counts(self) -> str:
        """`7 of 25 pairs done, 1 failed`."""
        ledger = self._ledger
        if ledger is None:
            return "no pair done yet"
        return f"{ledger.done} of {ledger.total} pairs done{_failures(ledger)}"

    def finish(self, ready_s: float, working_s: float) -> None:
        """Print how it ended, with the share of the workers' time that was optimization.

        ready_s: their time since they were ready; working_s: up to the last pair of each.
        """
        ledger = self._ledger
        assert ledger is not None
        took = duration(time.monotonic() - self._began)
        whole, until_last = (ledger.seconds / max(seconds, 1e-9) for seconds in (ready_s, working_s))
        self.say(
            f"{self.counts()} in {took}, {self._rate(ledger)}; workers busy {whole:.1%}, "
            f"{until_last:.1%} up to the last pair of each"
        )
        if ledger.first_error:
            self.say(f"first failure: {printable(ledger.first_error)}")

    def _rate(self, ledger: Ledger) -> str:
        minutes = max(time.monotonic() - self._began, 1e-9) / 60
        return f"{ledger.ended / minutes:.3g} pairs/min"


def _failures(ledger: Ledger) -> str:
    return f", {ledger.failed} failed" if ledger.failed else ""
