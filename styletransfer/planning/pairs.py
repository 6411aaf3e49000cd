"""Pairs of a content and a style, each of which becomes one output picture."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Kind = Literal["content", "style", "mask", "start"]


class Pair(NamedTuple):
    """One content in one style, identified by their names in their folders."""

    content: str
    """Relative path with slashes."""
    style: str
    variant: str = ""
    """The swept settings, such as `style-weight=3`; empty without a sweep."""


class Need(NamedTuple):
    """A prepared picture that a pair needs; `key` identifies the settings that it is prepared with."""

    kind: Kind
    name: str
    key: str


def product(contents: Iterable[str], styles: Sequence[str], variants: Sequence[str] = ("",)) -> list[Pair]:
    """Every content in every style in every variant; variants change fastest."""
    return [Pair(content, style, variant) for content in contents for style in styles for variant in variants]
