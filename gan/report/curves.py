"""The curves of a run as plotly figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.page.figures import INK, SERIES, SOFT
from gan.report.stretches import Stretch
from gan.run_folder import Row, best_row
from gan.training.health.signals import finite, smoothed

Figure = dict[str, Any]

_BLUE, _ORANGE, _GREEN, _VERMILLION, _PURPLE, _SKY = SERIES
_LOGARITHMIC_FROM = 20.0
"""Largest over smallest value from which on an axis is logarithmic."""
_FEW_TICKS = 3
"""Ticks of a stretch that is too narrow for its name to be written across it."""


def objective(history: Sequence[Row], metric: str, troubles: Sequence[Stretch]) -> Figure:
    """The objective with its noise floor, its median of three ticks and its best state, the troubles shaded.

    history: with at least one row in which the objective is known.
    """
    values, floor = column(history, metric), column(history, f"{metric}_noise")
    known = [row for row, value in zip(history, values, strict=True) if value is not None]
    best = best_row(known, metric)
    median = smoothed([row[metric] for row in known])
    data = [
        _line(history, values, metric, _BLUE, mode="lines+markers", width=1.2),
        {
            **_trace([row["images_seen"] for row in known], median),
            "name": "median of 3 ticks",
            "line": {"color": _BLUE, "width": 2.6},
            "hoverinfo": "skip",
        },
        _line(history, floor, "noise floor: real images", SOFT, dash="dot"),
        {
            **_trace([best["images_seen"]], [best[metric]], mode="markers"),
            "name": "best state",
            "marker": {"symbol": "star", "size": 13, "color": _ORANGE, "line": {"color": INK, "width": 0.8}},
        },
    ]
    layout = _layout(f"{metric}, lower is better")
    layout["yaxis"] |= _axis_for(values)
    layout["shapes"] = [_shade(stretch) for stretch in troubles]
    layout["annotations"] = [_named(stretch) for stretch in troubles]
    return {"data": data, "layout": layout}


def _shade(stretch: Stretch) -> Figure:
    return {
        "type": "rect",
        "layer": "below",
        "xref": "x",
        "x0": stretch.since,
        "x1": stretch.until,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"width": 0},
        "fillcolor": _VERMILLION,
        "opacity": 0.13,
    }


def _named(stretch: Stretch) -> Figure:
    return {
        "text": stretch.verdict.name,
        "font": {"size": 11.5, "color": INK},
        "showarrow": False,
        "textangle": -90 if stretch.ticks < _FEW_TICKS else 0,
        "xref": "x",
        "x": (stretch.since + stretch.until) / 2,
        "yref": "paper",
        "y": 1,
        "yanchor": "top",
    }


def losses(history: Sequence[Row]) -> Figure:
    """Both players' losses."""
    names = {"generator": ("generator_loss", _BLUE), "discriminator": ("discriminator_loss", _ORANGE)}
    return _several(history, names, "loss")


def accuracies(history: Sequence[Row]) -> Figure:
    """How often the discriminator is right about real and about generated images, and who rested."""
    names = {
        "right about real images": ("accuracy_real", _BLUE),
        "right about generated images": ("accuracy_fake", _ORANGE),
        "steps in which the discriminator rested": ("discriminator_skipped", _SKY),
        "steps in which the generator rested": ("generator_skipped", _PURPLE),
        "probability of augmentations": ("augment_probability", _GREEN),
    }
    shown = {label: pair for label, pair in names.items() if any(column(history, pair[0]))}
    figure = _several(history, shown, "share")
    figure["layout"]["yaxis"] |= {"range": [-0.02, 1.04], "tickformat": ".0%"}
    return figure


def margin(history: Sequence[Row]) -> Figure:
    """How far the discriminator is ahead, and by how much it knows its training images better."""
    names = {
        "margin: real above generated": ("discriminator_margin", _BLUE),
        "overfit: training above unseen": ("discriminator_overfit", _VERMILLION),
    }
    return _several(history, names, "standard deviations")


def variety(history: Sequence[Row]) -> Figure:
    """How varied generated images are: 1 is as varied as real ones."""
    names = {
        "spread": ("spread", _BLUE),
        "separation": ("separation", _ORANGE),
        "recall": ("recall", _GREEN),
        "coverage": ("coverage", _SKY),
        "memorization (0: copies)": ("memorization", _VERMILLION),
    }
    figure = _several(history, names, "1: as real images")
    figure["layout"]["shapes"].append(
        {
            "type": "line",
            "layer": "below",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": 1,
            "y1": 1,
            "line": {"color": SOFT, "width": 1, "dash": "dot"},
        }
    )
    figure["layout"]["yaxis"] |= {"rangemode": "tozero"}
    return figure


def learning_rates(history: Sequence[Row]) -> Figure:
    """Both players' learning rates."""
    names = {"generator": ("generator_lr", _BLUE), "discriminator": ("discriminator_lr", _ORANGE)}
    figure = _several(history, names, "learning rate")
    generator, discriminator = (column(history, name) for name, _ in names.values())
    figure["layout"]["yaxis"] |= {**_axis_for([*generator, *discriminator]), "tickformat": ".1e"}
    if generator == discriminator:  # one line lies on the other
        figure["data"][1:] = [
            {**each, "line": {**each["line"], "dash": "dash"}} for each in figure["data"][1:]
        ]
    return figure


def column(history: Sequence[Row], name: str) -> list[float | None]:
    """A number of each tick, None where it is missing or not finite.

    name: a key of the rows, or its part before the network's name and the count of images, as `recall`.
    """
    keys = list(dict.fromkeys(key for row in history for key in row))
    if name not in keys:
        name = next((key for key in keys if key.startswith(f"{name}_") and not key.endswith("_noise")), name)
    return [finite(row.get(name)) for row in history]


def _several(history: Sequence[Row], names: Mapping[str, tuple[str, str]], title: str) -> Figure:
    columns = {label: column(history, name) for label, (name, _) in names.items()}
    lines = [
        _line(history, values, label, names[label][1])
        for label, values in columns.items()
        if any(value is not None for value in values)
    ]
    return {"data": lines, "layout": _layout(title)}


def _line(
    history: Sequence[Row],
    values: Sequence[float | None],
    name: str,
    colour: str,
    *,
    mode: str = "lines",
    width: float = 2,
    size: float = 5,
    dash: str = "solid",
) -> Figure:
    return {
        **_trace(
            [row["images_seen"] for row in history],
            values,
            mode="lines+markers" if len(history) == 1 else mode,
        ),
        "name": name,
        "line": {"color": colour, "width": width, "dash": dash},
        "marker": {"color": colour, "size": size},
    }


def _trace(x: Sequence[float], y: Sequence[float | None], mode: str = "lines") -> Figure:
    return {
        "type": "scatter",
        "mode": mode,
        "x": list(x),
        "y": list(y),
        "hovertemplate": "%{y:.4g} at %{x:,.0f} images",
    }


def _axis_for(values: Sequence[float | None]) -> Figure:
    """From 0 on, or logarithmic where the values are of different magnitudes."""
    known = [value for value in values if value is not None]
    is_wide = bool(known) and min(known) > 0 and max(known) / min(known) > _LOGARITHMIC_FROM
    return {"type": "log"} if is_wide else {"rangemode": "tozero"}


def _layout(y_title: str) -> Figure:
    return {
        "xaxis": {"title": {"text": "images shown"}, "tickformat": "~s", "rangemode": "tozero"},
        "yaxis": {"title": {"text": y_title}},
        "hovermode": "x",
        "shapes": [],
        "annotations": [],
    }
