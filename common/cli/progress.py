"""Progress bars and plain lines, the same for every command."""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from common.text import printable


def progress_bar(console: Console, *, with_time_left: bool = True) -> Progress:
    """A bar with a count and a text field; invisible when the output is not a terminal.

    with_time_left: estimated from the count; leave it out where not all that is counted takes equally long.
    """
    time_left = [TimeRemainingColumn(compact=True)] if with_time_left else []
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        *time_left,
        TextColumn("{task.fields[text]}"),
        console=console,
        disable=not console.is_terminal,
    )


def counted(console: Console, what: str) -> tuple[Progress, Callable[[Any], None]]:
    """A bar, and the callback that moves it; the callback takes an object with `done` and `total`."""
    bar = progress_bar(console)
    task = bar.add_task(what, total=None, text="")

    def move(progress: Any) -> None:
        bar.update(task, completed=progress.done, total=progress.total)

    return bar, move


def say(console: Console, line: str) -> None:
    """Print one line as it is: not wrapped, not coloured, brackets left alone, control characters escaped."""
    console.print(printable(line), soft_wrap=True, highlight=False, markup=False)
