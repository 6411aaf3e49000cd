"""Tiles that cover a picture, and the margin that the network needs around each.

A tile is read with a margin as wide as the deepest layer's receptive field, and starts at a multiple of that
layer's stride, so that its features equal those of the whole picture. The features of the margin are dropped.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from perceptual.network import stage_of


class Span(NamedTuple):
    """Positions from `start` up to, not including, `stop`."""

    start: int
    stop: int

    def over(self, stride: int) -> "Span":
        """The same in units of `stride`, rounded down as pooling does."""
        return Span(self.start // stride, self.stop // stride)

    def within(self, other: "Span") -> slice:
        """This span as a slice of an array that was cut out at `other`."""
        return slice(self.start - other.start, self.stop - other.start)


class Tile(NamedTuple):
    """A tile and the tile with its margin, which the network must see, in pixels of the picture."""

    rows: Span
    columns: Span
    seen_rows: Span
    seen_columns: Span


def stride_of(tap: str) -> int:
    """Pixels per side of one position of the tap."""
    return 1 << (stage_of(tap) - 1)


def reach(network_taps: Sequence[str], taps: Iterable[str]) -> int:
    """How many pixels beyond its own a position of the deepest of `taps` depends on, in each direction.

    Each 3 x 3 convolution adds one position of its stage; pooling without overlap adds none beyond its own.
    network_taps: all of the network's, in order, one a convolution.
    """
    last = max(network_taps.index(tap) for tap in taps)
    return sum(stride_of(tap) for tap in network_taps[: last + 1])


def tiles_of(height: int, width: int, side: int, *, margin: int, stride: int) -> list[Tile]:
    """Tiles of at most about `side` pixels a side that cover the picture once; one for side 0.

    Inner borders, and where a margin starts, are multiples of `stride`, which is the deepest layer's.
    """
    if side == 0:
        whole = Span(0, height), Span(0, width)
        return [Tile(*whole, *whole)]
    margin = math.ceil(margin / stride) * stride
    return [
        Tile(rows, columns, _widened(rows, margin, height), _widened(columns, margin, width))
        for rows in _spans(height, side, stride)
        for columns in _spans(width, side, stride)
    ]


def _spans(length: int, side: int, stride: int) -> list[Span]:
    count = math.ceil(length / max(side, stride))
    borders = [round(length * index / count / stride) * stride for index in range(count)] + [length]
    return [Span(start, stop) for start, stop in itertools.pairwise(borders)]


def _widened(span: Span, margin: int, length: int) -> Span:
    return Span(max(0, span.start - margin), min(length, span.stop + margin))
