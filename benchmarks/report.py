"""The page of a large sweep: how long it takes to write, how large it is, and how soon a browser can use it.

Makes up a sweep of 200 trials of 50 ticks, whose best trials keep a grid a tick, writes its page in a process
of its own, imports included, and opens it in Chromium. Prints the figures and, as its last line, one JSON
object: `write_s`, `write_cpu_s` (about the same on a machine that does nothing else), `size_mib`, `usable_s`
(from the start of the navigation until the first rows are painted and the ranking can be sorted), `sort_s`,
`plots` drawn while scrolling through the page, of them `not_drawn`, and `complaints` of the console.
"""

import dataclasses
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tyro

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the tests' made-up sweeps

from tests.browser import visited  # noqa: E402
from tests.tune.made_up import made_up  # noqa: E402

WRITE = "import sys; from tune.report import write_report; write_report(sys.argv[1:])"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """How large the sweep is."""

    trials: int = 200
    ticks: int = 50
    grids: int = 10
    """Trials that keep a grid a tick."""
    prunes: bool = False
    """Whether trials are pruned; without, every trial has all ticks."""
    visits: int = 5
    """Times that the page is opened, each in a new browser; figures are medians."""


def visit(file: Path) -> dict[str, Any]:
    """Open the page once and use it."""
    with visited(file) as seen:
        page = seen.page
        usable_s = page.evaluate(
            """async () => {
              const paint = () => performance.getEntriesByName("first-contentful-paint")[0];
              while (!("ready" in document.documentElement.dataset) || !paint())
                await new Promise((go) => setTimeout(go, 5));
              return Math.max(paint().startTime,
                performance.getEntriesByType("navigation")[0].domInteractive) / 1000;
            }"""
        )
        started = time.perf_counter()
        page.locator("table.board th button").first.click()
        page.locator("table.board th[aria-sort=ascending]").wait_for()
        sort_s = time.perf_counter() - started
        page.locator("table.board .unfold").first.click()
        page.locator("tr.inside:visible .plot[data-state=drawn]").first.wait_for(timeout=20_000)
        states = [state for state, _ in seen.plots()]
        return {
            "usable_s": usable_s,
            "sort_s": sort_s,
            "plots": len(states),
            "not_drawn": sum(state != "drawn" for state in states),
            "complaints": len(seen.complaints),
        }


def main(arguments: Arguments) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        made = made_up(
            folder,
            trials=arguments.trials,
            ticks=arguments.ticks,
            grids=arguments.grids,
            prunes=arguments.prunes,
        )
        location = made.write()
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", WRITE, location], check=True, cwd=ROOT)
        write_s = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        file = Path(location, "report.html")
        visits = [visit(file) for _ in range(arguments.visits)]
        write_cpu_s = used.ru_utime + used.ru_stime
        found: dict[str, Any] = {
            "write_s": write_s,
            "write_cpu_s": write_cpu_s,
            "size_mib": file.stat().st_size / 2**20,
        }
        found |= {name: statistics.median(each[name] for each in visits) for name in visits[0]}
        found["usable_s_most"] = max(each["usable_s"] for each in visits)
    for name, value in found.items():
        print(f"{name:>14} {value:.2f}")
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
