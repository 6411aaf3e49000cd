"""Progress bars and plain lines in a terminal, alike for every command; not what they say."""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bar(console: Console) -> Progress:
    """A bar with a count and room for text; nothing is drawn when the output is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[text]}"),
        console=console,
        disable=not console.is_terminal,
    )


def counted(console: Console, what: str) -> tuple[Progress, Callable[[Any], None]]:
    """A bar for work that tells `done` and `total`, and the callback that moves it."""
    bar = progress_bar(console)
    task = bar.add_task(what, total=None, text="")

    def move(progress: Any) -> None:
        bar.update(task, completed=progress.done, total=progress.total)

    return bar, move


def say(console: Console, line: str) -> None:
    """Print one line as it is: not wrapped, not coloured, brackets left alone."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)
