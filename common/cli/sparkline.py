"""A curve in one line of text: a block for each value, the lowest value the lowest block."""

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-^"
LEAST_RATIO = 1.25  # of the highest block to the lowest one: noise must not look like a trend


def can_show(text: str, encoding: str | None) -> bool:
    """Whether an output with this encoding can show the characters."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def sparkline(values: Sequence[float | None], *, length: int = 10, encoding: str | None = "utf-8") -> str:
    """The last `length` values as blocks, or as ASCII where the encoding has no blocks.

    The scale is that of these values alone: logarithmic where all are above 0, and wide enough that a change
    below a quarter stays low. A missing or not finite value is a blank.
    """
    shown = [None if value is None or not math.isfinite(value) else value for value in values[-length:]]
    known = [value for value in shown if value is not None]
    if not known:
        return " " * len(shown)
    levels = BLOCKS if can_show(BLOCKS, encoding) else ASCII
    heights = iter(_heights(known))
    top = len(levels) - 1
    return "".join(" " if value is None else levels[round(next(heights) * top)] for value in shown)


def _heights(values: list[float]) -> list[float]:
    """Each value's height, 0 to 1."""
    if min(values) > 0:
        values, least = [math.log(value) for value in values], math.log(LEAST_RATIO)
    else:
        least = (LEAST_RATIO - 1) * max(map(abs, values))
    low = min(values)
    span = max(max(values) - low, least)
    return [(value - low) / span if span > 0 else 0.0 for value in values]
