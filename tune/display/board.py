"""Fits the ranking of trials into a terminal: fewer lines for each trial, then fewer trials."""

from collections.abc import Mapping, Sequence

import pandas as pd
from rich.console import Console, Group
from rich.text import Text

from common.text import printable
from tune.display.leaderboard import Room, leaderboard, note
from tune.display.summary import curves
from tune.records.tables import ranked, trials_table
from tune.records.trial_records import Trial
from tune.space.space import Space

LIVE_ROWS = 12
FINAL_ROWS = 50
FAILED_ROWS = 3


def whole_board(
    console: Console, trials: Mapping[int, Trial], space: Space, metric: str, rows: int = FINAL_ROWS
) -> Group:
    """The ranking with all that is to be said of each trial, as many lines as that takes."""
    room = Room(width=console.width, rows=rows, encoding=console.encoding)
    order, drawn = ranked(trials_table(trials, space, metric)), curves(trials, metric)
    return Group(leaderboard(order, space, metric, curves=drawn, room=room), *_failed(order, room))


def live_board(
    console: Console, trials: Mapping[int, Trial], space: Space, metric: str, below: Sequence[str]
) -> Group:
    """The ranking, why trials failed that are not in it, and lines below: as high as the terminal at most."""
    order, drawn = ranked(trials_table(trials, space, metric)), curves(trials, metric)
    shapes = [(LIVE_ROWS, 3), (LIVE_ROWS, 2), *((rows, 1) for rows in range(LIVE_ROWS, 0, -1))]
    for rows, lines_below in shapes:
        room = Room(width=console.width, rows=rows, lines_below=lines_below, encoding=console.encoding)
        board = leaderboard(order, space, metric, curves=drawn, room=room)
        shown = Group(board, *_failed(order, room), *plain(below))
        if len(console.render_lines(shown)) < console.height:  # the cursor's line stays free
            break
    return shown


def plain(lines: Sequence[str]) -> list[Text]:
    """Lines as they are, with control characters escaped."""
    return [Text(printable(line)) for line in lines]


def _failed(order: pd.DataFrame, room: Room) -> list[Text]:
    """A line for each of the last failed trials below the ranking's end, where all without a value are."""
    rest = order.iloc[room.rows :]
    failed = rest[rest["state"] == "failed"].sort_values("ended").tail(FAILED_ROWS)
    return [
        Text(
            room.cut(f"trial {row['number']} failed: {note(row) or 'no reason is known'}", room.width),
            "red",
            no_wrap=True,
            overflow="crop",
        )
        for row in failed.to_dict("records")
    ]
