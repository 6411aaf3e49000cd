"""The throttle, by a clock that the test sets."""

import pytest

from common.throttle import Throttle


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def due_after(throttle: Throttle, clock: Clock) -> float:
    """Seconds from now until it is due, in steps of a half."""
    began = clock.now_s
    while not throttle.is_due():
        clock.now_s += 0.5
    return clock.now_s - began


def test_a_task_that_takes_no_time_is_due_at_the_interval() -> None:
    clock = Clock()
    throttle = Throttle(5.0, 0.01, clock=clock)
    assert throttle.is_due()
    with throttle.timed():
        pass
    assert due_after(throttle, clock) == 5.0
    assert throttle.is_due(), "until it is done"


def test_a_slow_task_takes_its_share_of_the_time() -> None:
    clock = Clock()
    throttle = Throttle(5.0, 0.05, clock=clock)
    with throttle.timed():
        clock.now_s += 2.0
    assert 2.0 / (2.0 + due_after(throttle, clock)) == 0.05


def test_the_first_run_may_wait_for_the_interval() -> None:
    clock = Clock()
    assert due_after(Throttle(30.0, 0.01, is_due_at_once=False, clock=clock), clock) == 30.0


def test_a_task_that_failed_is_not_due_at_once() -> None:
    clock = Clock()
    throttle = Throttle(5.0, 0.01, clock=clock)
    with pytest.raises(OSError, match="full"), throttle.timed():
        raise OSError("full")
    assert not throttle.is_due()
