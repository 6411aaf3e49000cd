"""A source of pictures before decoding: what identifies it, and its pictures in order."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gan.data.decode import Framing, Squares

Square = npt.NDArray[np.uint8]
"""uint8 (..., resolution, resolution, channels)."""


@dataclasses.dataclass(frozen=True)
class PictureList:
    """The pictures of a source in a fixed order, not yet decoded."""

    names: Sequence[str]
    read: Callable[[int, int, Framing], list[Squares | str]]
    """(start, stop, framing) -> the squares of each picture, or why it is broken."""
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    channel_classes: int = 0
    """As `Images.channel_classes`."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What decides whether the cache has its images; its pictures are listed only when it does not."""

    identity: str
    files: dict[str, Path]
    """Name -> file whose content decides the pictures, together with the identity."""
    open: Callable[[], PictureList]
    others: Callable[[], Mapping[str, int]] = Counter
    """How many files of other kinds lie beside the pictures, by their endings."""
    content: str | None = None
    """Stands for the content of pictures that are not files here; else it is that of `files`."""


def even_indices(count: int, limit: int | None) -> npt.NDArray[np.int64]:
    """Indices of at most `limit` of `count` items, at equal distances; all without a limit."""
    kept = count if limit is None else min(limit, count)
    return np.arange(kept, dtype=np.int64) * count // max(kept, 1)
