"""Prints the ranking of trials as a table for the terminal, at most 100 columns wide."""

from typing import Any

import pandas as pd
import rich.box
import rich.table
import rich.text

from gan.training.health import HEALTHY
from tune.records.tables import ranked
from tune.space.space import Space

WIDTH = 100
_GAP = 2  # the padding and the box between two columns
_STYLES = {
    "completed": "green",
    "pruned": "yellow",
    "failed": "red",
    "interrupted": "magenta",
    "running": "cyan",
}


def leaderboard(
    trials: pd.DataFrame,
    space: Space,
    metric: str,
    *,
    top: int = 10,
    width: int = WIDTH,
) -> rich.table.Table:
    """The `top` trials: rank, number, state with the verdict on unhealthy ones, best value, images at the
    best, and the searched settings.

    Each setting has a column if all fit into `width` characters; otherwise they share one.
    """
    board = ranked(trials).head(top).to_dict("records")
    fixed = [_fixed_cells(row) for row in board]
    settings = [[short(row[path]) for path in space] for row in board]
    headers = ["#", "trial", "state", metric, "images"]
    names = [path.rpartition(".")[2].replace("_", " ") for path in space]

    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for header in headers:
        table.add_column(header, justify="left" if header == "state" else "right", no_wrap=True)
    used = _width(headers, fixed)
    if used + _width([max(name.split(), key=len) for name in names], settings) <= min(width, WIDTH):
        for name in names:
            table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
        rows = settings
    else:
        table.add_column("settings")
        rows = [
            [", ".join(f"{name} {text}" for name, text in zip(names, row, strict=True) if text)]
            for row in settings
        ]

    for cells, row in zip(fixed, rows, strict=True):
        rank, number, state, *numbers = cells
        style = _STYLES.get(state.partition(":")[0], "")
        table.add_row(rank, number, rich.text.Text(state, style), *numbers, *row)
    return table


def short(value: Any) -> str:
    """A value in few characters: three digits of a number, nothing for a missing one."""
    if pd.isna(value):
        return ""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")


def _width(headers: list[str], rows: list[list[str]]) -> int:
    return sum(max(map(len, column)) + _GAP for column in zip(headers, *rows, strict=True))


def _fixed_cells(row: dict[Any, Any]) -> list[str]:
    return [
        "-" if pd.isna(row["rank"]) else str(row["rank"]),
        str(row["number"]),
        _state(row),
        "-" if pd.isna(row["best"]) else f"{row['best']:.4g}",
        "-" if pd.isna(row["images_at_best"]) else f"{row['images_at_best']:,}",
    ]


def _state(row: dict[Any, Any]) -> str:
    """`pruned: decayed`; the state alone of a healthy trial."""
    verdict = row["verdict"]
    state = str(row["state"])
    return state if pd.isna(verdict) or verdict == HEALTHY else f"{state}: {verdict}"
