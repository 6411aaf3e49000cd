"""Curves in one line of text."""

import math

import pytest

from common.cli.sparkline import ASCII, BLOCKS, sparkline


def test_a_value_that_falls_is_a_curve_that_falls() -> None:
    assert sparkline([2.0**height for height in range(7, -1, -1)]) == BLOCKS[::-1]
    assert sparkline([3, 2, 1, 0]) == "█▆▃▁", "not all above 0, hence linear"
    assert sparkline([-1.0, -2.0, -3.0, -4.0]) == "█▆▃▁"


def test_only_the_last_values_are_shown_on_a_scale_of_their_own() -> None:
    assert sparkline([1e6, 8.0, 4.0, 2.0], length=3) == sparkline([8.0, 4.0, 2.0]) == "█▅▁"


def test_what_hardly_changes_is_flat() -> None:
    assert sparkline([5.0, 5.0, 5.0]) == sparkline([0.0, 0.0, 0.0]) == "▁▁▁"
    assert set(sparkline([100, 101, 100, 102])) <= set("▁▂")


def test_a_missing_value_is_a_blank() -> None:
    assert sparkline([4.0, None, math.nan, 1.0, math.inf]) == "█  ▁ "
    assert sparkline([math.nan]) == " " and sparkline([]) == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "no-such-encoding", None])
def test_an_output_without_blocks_gets_ascii(encoding: str | None) -> None:
    assert sparkline([8.0, 4.0, 2.0, 1.0], encoding=encoding) == ASCII[::-1]
