"""Now and then, by a clock that the test turns."""

import pytest

from common.throttle import Pace


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def due_after(pace: Pace, clock: Clock) -> float:
    """Seconds from now until it is due, in steps of a half."""
    began = clock.now_s
    while not pace.is_due():
        clock.now_s += 0.5
    return clock.now_s - began


def test_what_takes_no_time_is_due_at_the_interval() -> None:
    clock = Clock()
    pace = Pace(5.0, 0.01, clock=clock)
    assert pace.is_due()
    with pace.taken():
        pass
    assert due_after(pace, clock) == 5.0
    assert pace.is_due(), "until it is done"


def test_what_takes_long_takes_its_share_of_the_time() -> None:
    clock = Clock()
    pace = Pace(5.0, 0.05, clock=clock)
    with pace.taken():
        clock.now_s += 2.0
    assert 2.0 / (2.0 + due_after(pace, clock)) == 0.05


def test_the_first_time_may_wait_for_the_interval() -> None:
    clock = Clock()
    assert due_after(Pace(30.0, 0.01, is_due_at_once=False, clock=clock), clock) == 30.0


def test_what_fails_is_not_tried_again_at_once() -> None:
    clock = Clock()
    pace = Pace(5.0, 0.01, clock=clock)
    with pytest.raises(OSError, match="full"), pace.taken():
        raise OSError("full")
    assert not pace.is_due()
