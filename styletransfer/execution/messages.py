"""What the driver of a batch and its workers say to each other; small, whatever the pictures' sizes."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from styletransfer.config import StyleConfig
from styletransfer.planning.pairs import Kind, Pair


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """What every worker of a batch is told once."""

    out: str
    """Folder or URL of the results."""
    probe: str
    """Name of a file there, by which a worker knows that it sees the same folder; '' for a URL, which all
    see."""
    variants: Mapping[str, StyleConfig]
    weights_hashes: Mapping[str, str]
    quality: int


class Order(NamedTuple):
    """A pair to draw, and under which name."""

    pair: Pair
    output: str
    kinds: tuple[Kind, ...]
    """Which prepared pictures come with it, in this order."""
    is_repeat: bool = False
    """Whether a worker died of it before; it is then drawn with as little memory as can be."""
    lost_machine: bool = False
    """Whether its machine was lost before while it was drawn there, which is no fault of the pair."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """What became of a picture that was to be prepared; the picture itself comes beside it."""

    error: str | None = None
    """Why it cannot be used."""
    size_px: tuple[int, int] = (0, 0)
    """(width, height) of a pair's result."""
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    """Name -> bytes of what the driver has to write."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
    """What became of a pair."""

    pair: Pair
    output: str
    error: str | None = None
    """Why there is no picture."""
    is_unwritable: bool = False
    """Whether that is because it could not be written."""
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    """Of its optimization, in a batch its share."""
    losses: Mapping[str, float] = dataclasses.field(default_factory=dict)
    size_px: tuple[int, int] | None = None
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    """Name -> bytes of what the driver has to write."""
