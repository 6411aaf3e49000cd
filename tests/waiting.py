"""Waits for what another process or thread does."""

import time
from collections.abc import Callable

HANGS_AFTER_S = 300
"""Seconds after which something hangs. It is no measure of speed: on two slow cores, with two more rows of
tests beside it, a driver took over 120 s from its start to its sixth tick."""


def wait_for(is_so: Callable[[], object], timeout_s: float = HANGS_AFTER_S) -> None:
    """Wait until a condition is true; fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
