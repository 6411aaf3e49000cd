"""Remembers what memory was not enough for, so that a worker does not try it with every large pair again."""

from collections.abc import Sequence
from typing import NamedTuple

from styletransfer.planning.staleness import NetworkKey


class Work(NamedTuple):
    """Something that needs memory in proportion to its pixels, apart from tiles."""

    kind: str
    network: NetworkKey
    pixels: int


class TooLarge:
    """Remembers for which pixels and tiles memory was not enough, so that it is not tried again."""

    def __init__(self) -> None:
        self._fewest: dict[tuple[str, NetworkKey, int], int] = {}

    def add(self, work: Work, tile: int) -> None:
        """Memory was not enough for this work in these tiles, nor is it for more pixels."""
        key = (work.kind, work.network, tile)
        self._fewest[key] = min(work.pixels, self._fewest.get(key, work.pixels))

    def left(self, work: Work, tiles: Sequence[int]) -> list[int]:
        """The sides of tiles, falling, that may do; at least the last."""
        *larger, last = tiles
        known = (self._fewest.get((work.kind, work.network, tile)) for tile in larger)
        few = [tile for tile, most in zip(larger, known, strict=True) if most is None or work.pixels < most]
        return [*few, last]
