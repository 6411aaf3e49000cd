"""Waits for what another process or thread does."""

import time
from collections.abc import Callable


def wait_for(is_so: Callable[[], object], timeout_s: float = 120) -> None:
    """Wait until a condition is true; fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
