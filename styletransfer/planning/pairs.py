"""A pair, which is one picture to make, and the product of contents and styles; names live in `names`."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Kind = Literal["content", "style", "mask", "start"]


class Pair(NamedTuple):
    """One content in one style, known by the names of both in their folders."""

    content: str
    """Relative path, slashes between."""
    style: str
    variant: str = ""
    """What tells the variants of a sweep apart, such as `style-weight=3`; empty without a sweep."""


class Need(NamedTuple):
    """A picture that a pair is drawn from, as it must be prepared."""

    kind: Kind
    name: str
    key: str


def product(contents: Iterable[str], styles: Sequence[str], variants: Sequence[str] = ("",)) -> list[Pair]:
    """Every content in every style in every variant, in that order of nesting."""
    return [Pair(content, style, variant) for content in contents for style in styles for variant in variants]
