"""How often something costly is done beside other work; it knows neither."""

import contextlib
import time
from collections.abc import Callable, Iterator


class Pace:
    """Lets something be done now and then: not more often than asked, and in a small share of the time.

    Args:
        every_s: seconds between two times at least.
        share: of the time, at most so much; what takes longer is done less often.
        is_due_at_once: whether the first time is now, else after `every_s`.
        clock: seconds that only rise.
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
        """Whether it is time again."""
        return self._clock() >= self._next_s

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Within the block it is done, however that ends; how long it takes decides when it is due again."""
        began = self._clock()
        try:
            yield
        finally:
            took = self._clock() - began
            self._next_s = began + max(self._every_s, took / self._share)
