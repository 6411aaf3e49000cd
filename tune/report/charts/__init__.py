"""The charts of a sweep's page, one file each: the constant `CHART` says what it asks and how to draw it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from common.registry import Registry

if TYPE_CHECKING:
    from tune.report.data import SweepData


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a chart says of a sweep: a sentence with numbers, and figures; without any, what is missing."""

    text: str
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Plotly figures, or dicts with `data` and `layout`, by a label."""
    arrangement: Literal["tabs", "tiles"] = "tabs"
    """Several figures: one at a time, chosen by its label, or all beside each other."""
    height: int = 420
    """Of a figure, in pixels."""
    min_width: int = 0
    """Pixels below which a figure scrolls sideways instead of becoming narrower."""
    note: str = ""
    """How the numbers came about, and what they do not say."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chart:
    """A section of the page."""

    place: int
    """Charts are in the order of these numbers."""
    word: str
    """For the page's list of contents."""
    title: str
    question: str
    """That it answers, in a sentence."""
    draw: "Callable[[SweepData], Answer]"


CHARTS: Registry[Chart] = Registry("tune.report.charts", "CHART", what="chart")


def in_order() -> dict[str, Chart]:
    """All charts by name, in their order on the page."""
    charts = {name: CHARTS[name] for name in CHARTS}
    return dict(sorted(charts.items(), key=lambda item: item[1].place))
