"""Texts for messages, against examples written by hand and the standard library."""

import datetime
import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text import (
    counted,
    duration,
    first_line,
    last_line,
    one_line,
    os_reason,
    printable,
    type_and_last_line,
)

TRACEBACK = ValueError("\n  Traceback:\n    at x.py\n\n  no such thing  \n\n")
BLANK = KeyError()


def test_an_error_is_one_line_or_one_of_its_lines() -> None:
    assert one_line(TRACEBACK) == "Traceback: at x.py no such thing"
    assert first_line(TRACEBACK) == "Traceback:"
    assert last_line(TRACEBACK) == "no such thing"
    assert type_and_last_line(TRACEBACK) == "ValueError: no such thing"


@pytest.mark.parametrize("text", [one_line, first_line, last_line, type_and_last_line])
@pytest.mark.parametrize("error", [KeyError(), OSError(""), RuntimeError(" \n\t\n ")])
def test_an_error_without_a_message_is_its_type(text: object, error: Exception) -> None:
    assert callable(text) and text(error) == type(error).__name__


@given(st.text(), st.integers(1, 60))
def test_a_line_is_never_broken_nor_longer_than_allowed(message: str, longest: int) -> None:
    for text in (one_line, first_line, last_line):
        assert len(text(ValueError(message)).splitlines()) == 1
    whole, cut = one_line(ValueError(message)), one_line(ValueError(message), longest)
    assert len(cut) <= longest
    assert cut == whole if len(whole) <= longest else cut.endswith("…") and whole.startswith(cut[:-1])


def test_an_error_of_the_system_is_its_reason_without_number_and_path() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/x")
    assert os_reason(error) == os.strerror(errno.ENOSPC) and os_reason(OSError("odd")) == "odd"


@given(st.text())
def test_a_printable_name_is_one_line_and_can_be_told_from_others(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable() and (shown == name) == name.isprintable()
    if "\\" not in name:
        assert shown.encode("latin-1", "backslashreplace").decode("unicode_escape") == name


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (90, "1 min 30 s"),
        (3599.6, "1 h 0 min"),
        (7260, "2 h 1 min"),
        (86400, "1 d 0 h"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.integers(0, 10**8))
def test_a_duration_is_the_time_rounded_down_to_its_smallest_unit(seconds: int) -> None:
    words = duration(seconds).split()
    units = {"d": "days", "h": "hours", "min": "minutes", "s": "seconds"}
    amounts = {units[unit]: int(amount) for amount, unit in zip(words[::2], words[1::2], strict=True)}
    rest = datetime.timedelta(seconds=seconds) - datetime.timedelta(**amounts)
    smallest = datetime.timedelta(**{units[words[-1]]: 1})
    assert datetime.timedelta() <= rest < smallest


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials"), (1_234_567, "1,234,567 trials")]
)
def test_a_count_has_its_noun(count: int, text: str) -> None:
    assert counted(count, "trial") == text
