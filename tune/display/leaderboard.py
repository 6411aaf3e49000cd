"""The ranking of trials for a terminal of any width: a line for each, its settings beside or below it."""

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.text import Text

from common.cli.sparkline import can_show, sparkline
from common.text import printable
from gan.training.health import HEALTHY
from tune.space.space import Space

CURVE_TICKS = 10
_GAP = 2  # blanks between two columns
_INDENT = 4  # of what is below a trial's line
_LEAST_NOTE = 20  # columns in which a reason can begin beside its trial, else it is below
_STYLES = {
    "completed": "green",
    "pruned": "yellow",
    "failed": "red",
    "interrupted": "magenta",
    "running": "cyan",
}
_IMAGES = "images\nat best"
# in this order they are left out of a terminal that is too narrow for all
_DISPENSABLE = (_IMAGES, "last ticks")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Room:
    """What the output has room for."""

    width: int = 80
    rows: int = 10
    """Trials at most."""
    lines_below: int | None = None
    """Lines for a trial's settings and for its reason where they are not beside it, at most; None: all."""
    encoding: str | None = "utf-8"

    def cut(self, text: str, width: int) -> str:
        """The text in so many columns, with dots where something is missing."""
        if cell_len(text) <= width:
            return text
        dots = self.dots()
        return set_cell_size(text, max(0, width - len(dots))).rstrip() + dots

    def dots(self) -> str:
        """What stands for text that is cut off."""
        return "…" if can_show("…", self.encoding) else "..."

    def rule(self) -> str:
        """The character of a line below the headers."""
        return "─" if can_show("─", self.encoding) else "-"


def leaderboard(
    order: pd.DataFrame,
    space: Space,
    metric: str,
    *,
    curves: Mapping[int, Sequence[float | None]] | None = None,
    room: Room | None = None,
) -> Group:
    """The best trials: rank, number, state, best value, the last values as a curve, what it was when it was
    measured again, images at the best, the searched settings, and why a trial ended or what is the matter.

    Each setting that a shown trial has gets a column if all fit beside the others; otherwise a trial's
    settings are below its line. A reason is at the end of the line, or below it where it does not fit.

    order: the trials as `tune.records.tables.ranked` returns them.
    curves: the objective after each tick, by number of the trial.
    """
    room = room or Room()
    board: list[dict[Any, Any]] = order.head(room.rows).to_dict("records")
    columns = _fixed_columns(board, metric, curves or {}, room.encoding)
    for header in _DISPENSABLE:
        if _width(columns) > room.width:
            columns = [column for column in columns if column.header != header]
    beside = _setting_columns(board, space)
    has_columns = _width([*columns, *beside]) <= room.width
    if has_columns:
        columns += beside
    lines = [*_headers(columns, room), Text(room.rule() * min(_width(columns), room.width))]
    for place, row in enumerate(board):
        lines += _row(row, place, columns, room)
        if not has_columns:
            lines += _below(settings_text(row, space), room, style="dim")
    return Group(*lines)


def short(value: Any) -> str:
    """A value in few characters: three digits of a number, nothing for a missing one."""
    if pd.isna(value):
        return ""
    if isinstance(value, bool) or not isinstance(value, float):
        return printable(str(value))
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")


def settings_text(row: Mapping[Any, Any], space: Space) -> str:
    """`policy margin (accuracy level 0.7), r1 0.1 (every 16)`: what depends on a setting in parentheses."""
    children: dict[str | None, list[str]] = {}
    for path, domain in space.items():
        parent = next(reversed([*domain.when]), None)  # `Space` has it before what depends on it
        children.setdefault(parent, []).append(path)

    def said(path: str, parent: str | None) -> str:
        name = _name(path)
        if parent is not None:
            name = name.removeprefix(f"{_name(parent)} ")
        inner = told(path)
        return f"{name} {short(row[path])}" + (f" ({inner})" if inner else "")

    def told(parent: str | None) -> str:
        return ", ".join(said(path, parent) for path in children.get(parent, []) if short(row[path]))

    return told(None)


def note(row: Mapping[Any, Any]) -> str:
    """Why a trial ended, or the verdict on one that is not healthy; empty where there is nothing to say."""
    reason, verdict, evidence = row["reason"], row["verdict"], row["verdict_evidence"]
    if not pd.isna(reason):
        return printable(str(reason))
    if pd.isna(verdict) or verdict == HEALTHY:
        return ""
    return printable(str(verdict) if pd.isna(evidence) else f"{verdict}: {evidence}")


@dataclasses.dataclass(frozen=True)
class _Column:
    header: str
    """Lines, the last one at the bottom."""
    cells: Sequence[str]
    is_left: bool = False
    is_setting: bool = False

    @property
    def width(self) -> int:
        return max(map(cell_len, (*self.header.split("\n"), *self.cells)))

    def padded(self, text: str) -> str:
        fill = " " * (self.width - cell_len(text))
        return text + fill if self.is_left else fill + text


def _fixed_columns(
    board: list[dict[Any, Any]],
    metric: str,
    curves: Mapping[int, Sequence[float | None]],
    encoding: str | None,
) -> list[_Column]:
    drawn = [sparkline(curves.get(row["number"], ()), length=CURVE_TICKS, encoding=encoding) for row in board]
    again = ["" if pd.isna(row["confirmed"]) else f"{row['confirmed']:.4g}" for row in board]
    return [
        _Column("#", ["-" if pd.isna(row["rank"]) else str(row["rank"]) for row in board]),
        _Column("trial", [str(row["number"]) for row in board]),
        _Column("state", [str(row["state"]) for row in board], is_left=True),
        _Column(metric, ["-" if pd.isna(row["best"]) else f"{row['best']:.4g}" for row in board]),
        _Column("last ticks", drawn, is_left=True),
        *([_Column("measured\nagain", again)] if any(again) else []),  # by which the first ones are ranked
        _Column(
            _IMAGES,
            ["-" if pd.isna(row["images_at_best"]) else f"{row['images_at_best']:,}" for row in board],
        ),
    ]


def _setting_columns(board: list[dict[Any, Any]], space: Space) -> list[_Column]:
    """A column for each setting that one of the trials has."""
    found = [(path, [short(row[path]) for row in board]) for path in space]
    return [
        _Column(_name(path).replace(" ", "\n"), cells, is_setting=True) for path, cells in found if any(cells)
    ]


def _name(path: str) -> str:
    return path.rpartition(".")[2].replace("_", " ")


def _width(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def _headers(columns: list[_Column], room: Room) -> list[Text]:
    split = [column.header.split("\n") for column in columns]
    height = max(map(len, split))
    rows = zip(*[[""] * (height - len(words)) + words for words in split], strict=True)
    return [_text(_joined(columns, row), room, style="bold") for row in rows]


def _row(row: Mapping[Any, Any], place: int, columns: list[_Column], room: Room) -> list[Text]:
    """A trial's line, and its reason."""
    style = _STYLES.get(str(row["state"]), "")
    line = _text(_joined(columns, [column.cells[place] for column in columns]), room)
    line.highlight_words([str(row["state"])], style)
    said = note(row)
    if row["state"] in ("completed", "running"):
        style = "yellow"  # what is said is a warning
    space = room.width - _width(columns) - _GAP
    is_cut = room.lines_below is not None  # a live view, where a line for each reason is too many
    if not said or (space >= _LEAST_NOTE and (is_cut or cell_len(said) <= space)):
        fill = " " * (_width(columns) + _GAP - cell_len(line.plain))
        return [line.append(fill + room.cut(said, space), style)] if said else [line]
    return [line, *_below(said, room, style=style)]


def _below(text: str, room: Room, *, style: str) -> list[Text]:
    width = max(10, room.width - _INDENT)
    parts = textwrap.wrap(text, width, max_lines=room.lines_below, placeholder=f" {room.dots()}")
    return [_text(" " * _INDENT + part, room, style=style) for part in parts]


def _joined(columns: list[_Column], cells: Sequence[str]) -> str:
    padded = (column.padded(cell) for column, cell in zip(columns, cells, strict=True))
    return (" " * _GAP).join(padded).rstrip()


def _text(line: str, room: Room, style: str = "") -> Text:
    return Text(room.cut(line, room.width), style, no_wrap=True, overflow="crop")
