"""Puts a sweep's page together and writes it: winner, ranking, charts; several sweeps also side by side."""

import dataclasses
import shlex
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import require
from common.page.render import render
from common.storage.folder import Folder
from common.text import printable, type_and_last_line
from gan.report.gallery import gallery_pictures
from gan.report.pictures import GALLERY_PARTS, Gallery
from tune.report import winner as winners
from tune.report.charts import Answer, Chart, in_order
from tune.report.comparison import comparison_page, interval, method, shown_amount
from tune.report.data import SweepData, read_sweep
from tune.report.leaderboard import board, frames_of, headings

REPORT_NAME, COMPARISON_NAME = "report.html", "comparison.html"
_TEMPLATE = Path(__file__).parent / "report.html.jinja"
_OURS = b'<meta name="generator" content="artsweep">'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A chart as the page shows it."""

    id: str
    chart: Chart
    answer: Answer


def write_page(locations: Sequence[str], out: str | None) -> str:
    """See `tune.report.write_report`."""
    require(bool(locations), "a report needs the folder of a sweep")
    sweeps = [read_sweep(location) for location in locations]
    name = REPORT_NAME if len(sweeps) == 1 else COMPARISON_NAME
    folder = Folder(sweeps[0].location)
    if out is not None:
        parent, _, name = out.replace("\\", "/").rpartition("/") if "://" in out else ("", "", out)
        path = PurePosixPath(out)
        folder, name = Folder(parent or str(path.parent), flag="--out"), path.name
        require(bool(name), f"--out must name a file, not {out!r}; try report.html")
        _check_ours(folder, name)
    folder.write(name, page_of(sweeps))
    return folder.path(name)


def _check_ours(folder: Folder, name: str) -> None:
    """Raise `ConfigError` for a file that is no page of ours."""
    present = folder.read(name)
    require(
        not present or _OURS in present[:4000],
        f"--out {folder.path(name)} is a file that is no report; choose another name",
    )


def page_of(sweeps: Sequence[SweepData]) -> bytes:
    """The page as HTML."""
    parts = [
        _sweep_part(sweep, prefix=f"s{place}-" if len(sweeps) > 1 else "")
        for place, sweep in enumerate(sweeps, start=1)
    ]
    title = sweeps[0].name if len(sweeps) == 1 else f"{len(sweeps)} sweeps side by side"
    compared = comparison_page(sweeps) if len(sweeps) > 1 else None
    filters: dict[str, Callable[[Any], str]] = {
        "shown_amount": shown_amount,
        "interval": interval,
        "method": method,
    }
    return render(
        _TEMPLATE, parts=[GALLERY_PARTS], filters=filters, title=title, sweeps=parts, compared=compared
    )


def _sweep_part(sweep: SweepData, *, prefix: str) -> dict[str, Any]:
    """What the template needs of one sweep."""
    found = winners.winner_of(sweep)
    return {
        "prefix": prefix,
        "sweep": sweep,
        "facts": _facts(sweep),
        "winner": found,
        "verdict": winners.verdict_on(found) if found else None,
        "cautions": winners.cautions(sweep, found) if found else [],
        "commands": winners.commands(
            sweep, has_state=found is not None and bool(found.row.trial.checkpoints)
        ),
        "frames": frames_of(sweep, found.row.number) if found else [],
        "pictures": sweep.pictures,
        "gallery": _gallery(sweep),
        "gallery_command": f"python -m gan gallery {shlex.quote(sweep.location)}",
        "headings": headings(sweep),
        "board": board(sweep),
        "sections": [
            Section(id=f"{prefix}{name}", chart=chart, answer=_answer(chart, sweep))
            for name, chart in in_order().items()
        ],
    }


def _gallery(sweep: SweepData) -> Gallery | None:
    """The gallery of `best/`; of a finished sweep it is made if there is none, which takes half a minute."""
    try:
        return gallery_pictures(sweep.location, may_make=sweep.is_finished)
    except Exception:  # such as a broken file or a lack of memory: the rest of the page is there
        return None


def _answer(chart: Chart, sweep: SweepData) -> Answer:
    # one chart that stumbles over a strange sweep must not cost the whole page
    try:
        return chart.draw(sweep)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return Answer(text=f"This chart could not be drawn: {type_and_last_line(error)} ({place}).")


def _facts(sweep: SweepData) -> dict[str, str]:
    gan, images = sweep.config.gan, sum(row.trial.images_seen for row in sweep.rows)
    return {
        "data": printable(Path(gan.data.source).name or gan.data.source),
        "pixels": f"{gan.data.resolution} × {gan.data.resolution}",
        "trials": f"{len(sweep.rows)} of {sweep.config.trials}",
        "images trained": f"{images:,}",
        "search": "population"
        if sweep.config.scheduler == "pbt"
        else f"{sweep.config.search}, {sweep.config.scheduler}",
        "workers a trial": f"{sweep.workers}",
        "minimized": sweep.metric,
        "noise floor": "not known" if sweep.noise is None else f"{sweep.noise:.3g}",
    }
