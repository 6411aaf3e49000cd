"""Throttle: runs a costly task at most every N seconds and in at most a given share of the time."""

import contextlib
import time
from collections.abc import Callable, Iterator


class Throttle:
    """Says when a costly task, such as writing a table beside a training, is due again.

    Args:
        every_s: least number of seconds between the starts of two runs.
        share: largest share of the time that the task may take; a slow task runs less often.
        is_due_at_once: whether the first run is due now, else after `every_s`.
        clock: a clock in seconds that never goes back.
    """

    def __init__(
        self,
        every_s: float,
        share: float,
        *,
        is_due_at_once: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s, self._share, self._clock = every_s, share, clock
        self._next_s = clock() + (0.0 if is_due_at_once else every_s)

    def is_due(self) -> bool:
        """Whether the task may run now."""
        return self._clock() >= self._next_s

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Run the task in this block; its duration decides when it is due again, also if it fails."""
        began = self._clock()
        try:
            yield
        finally:
            took = self._clock() - began
            self._next_s = began + max(self._every_s, took / self._share)
