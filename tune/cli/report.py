"""Runs `python -m tune report` and `python -m tune compare`."""

import shlex
from typing import TYPE_CHECKING

import rich.box
import rich.table
from rich.console import Console

from common.cli.progress import say
from common.cli.signals import Interrupted
from common.storage.reach import check_reachable
from common.text import one_line
from tune.cli.looking import Compare, Report
from tune.report import write_report

if TYPE_CHECKING:
    from tune.report.comparison import Comparison

_LONGEST = 200


def run_report(command: Report, console: Console) -> int:
    """Write the page and print where it lies; returns the exit code, 0.

    Raises: ConfigError when there is no sweep; WriteError when the page cannot be written.
    """
    for location in command.directories:
        check_reachable(location, flag="the sweep's folder")
    say(console, f"report: {write_report(command.directories, command.out)}")
    return 0


def run_compare(command: Compare, console: Console) -> int:
    """Print sweeps side by side; returns the exit code, 0.

    Raises: ConfigError when there is no sweep, or they cannot be compared.
    """
    # imported here: pandas and plotly take a moment
    from tune.report.comparison import compare, method
    from tune.report.data import read_sweep

    for location in command.directories:
        check_reachable(location, flag="the sweep's folder")
    comparison = compare([read_sweep(location) for location in command.directories], command.budget)
    console.print(_table(comparison))
    draws = comparison.draws
    say(console, f"best: within the budget; of {draws}: expected; in all: without a budget; again: confirmed")
    say(console, method(comparison))
    return 0


def report_of(location: str, console: Console) -> None:
    """Write the page of a sweep that has ended, and say where it lies; a failure costs one line."""
    # whatever is wrong with the page, the sweep's results are there and its exit code stands
    try:
        say(console, f"report: {write_report([location])}")
    except Interrupted:
        say(console, f"the report was not written; python -m tune report {shlex.quote(location)} does it")
        raise
    except Exception as error:
        say(console, f"the report could not be written: {one_line(error, _LONGEST)}")


def _table(comparison: "Comparison") -> rich.table.Table:
    from tune.report.comparison import shown_amount

    table = rich.table.Table(
        box=rich.box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        title=f"{comparison.metric} on {shown_amount(comparison)}",
        title_justify="left",
    )
    table.add_column("sweep", overflow="fold")
    for name in ("trials", "best", f"of {comparison.draws}", "95 % interval", "ahead in", "in all", "again"):
        table.add_column(name, justify="right")
    for each in comparison.sweeps:
        low, high, *others = (
            "" if value is None else f"{value:.4g}"
            for value in (each.low, each.high, each.best, each.expected, each.best_of_all, each.confirmed)
        )
        ahead = "" if each.ahead is None else f"{each.ahead:.0%}".replace("%", " %")
        between = f"{low} to {high}" if low else ""
        table.add_row(each.name, str(each.trials), *others[:2], between, ahead, *others[2:])
    return table
