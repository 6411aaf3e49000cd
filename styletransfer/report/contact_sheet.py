"""Writes the contact sheet of an output folder, `index.html`: every pair in a table, with thumbnails.

`contact_sheet.html.jinja` holds the page; this file decides what its table shows.
"""

import base64
import functools
import hashlib
import os
import urllib.parse
from collections.abc import Container, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import jinja2

from common.storage.folder import Folder
from common.text import counted, printable
from styletransfer.planning.manifest import Entry, read_manifest
from styletransfer.planning.output_names import SHEET_NAME, THUMBS_FOLDER, heading_thumb, output_thumb
from styletransfer.planning.pairs import Pair
from styletransfer.planning.plan import BatchPlan

_FULL_ENOUGH = 0.5


class Heading(NamedTuple):
    """The heading of a row or column: a content, a style or a variant."""

    label: str
    name: str = ""
    """The whole name, of which the label is the short form."""
    thumb: str | None = None
    """URL of its picture, if there is one."""


class Cell(NamedTuple):
    """A pair's place in the table; texts are printable, but not escaped."""

    state: Literal["done", "failed", "waiting"]
    pair: str
    """`photo in the style of painting`."""
    style: Heading
    """Of the pair, for a table without columns."""
    title: str = ""
    """What is shown when one points at it; of a failed pair the reason."""
    href: str = ""
    src: str = ""
    ratio: str = "1"
    """Width over height of the picture."""
    anchor: str = ""


class Row(NamedTuple):
    """A row of the table; None: a pair that was not asked for."""

    heading: Heading
    cells: list[Cell | None]
    style: Heading | None = None


def write_contact_sheet(plan: BatchPlan) -> None:
    """Write `index.html` with the state of each pair as the manifest has it now.

    Entries are read anew, so that none are kept in memory meanwhile.

    Raises: WriteError when the folder cannot be written; ConfigError when it cannot be read.
    """
    request = plan.request
    config = next(iter(request.variants.values()))
    facts = {
        "size": f"{config.size} px",
        "iterations": str(config.iterations),
        "network": next(iter(request.networks.values())).name,
        "style weight": f"{config.style_weight:g}",
    }
    if len(request.variants) > 1:
        swept = {part.partition("=")[0] for variant in request.variants for part in variant.split(", ")}
        facts = {name: value for name, value in facts.items() if name.replace(" ", "-") not in swept}
    write_sheet(request.out, {**plan.outputs, **plan.kept}, read_manifest(request.out), facts=facts)


def write_sheet(
    folder: Folder,
    outputs: Mapping[Pair, str],
    entries: Mapping[Pair, Entry],
    *,
    title: str = "Style transfer",
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write `index.html`, which shows each pair of `outputs` (pair -> name of its picture) as in `entries`.

    Contents are rows and styles columns. With variants, each pair is a row and its variants are columns.
    Where less than half of the table would be filled, a row holds its pairs side by side. Thumbnails are
    those of `output_thumb` and `heading_thumb`; without one the picture itself is shown. `facts`, such as
    the settings, are shown above.

    Raises: WriteError when the folder is full or the like.
    """
    thumbs = {file.name for file in folder.list_files(THUMBS_FOLDER)}
    page = render(outputs, entries, thumbs, title=title, facts=facts or {})
    # a name that is not Unicode is shown with a replacement character
    folder.write(SHEET_NAME, page.encode("utf-8", "replace"))


def render(
    outputs: Mapping[Pair, str],
    entries: Mapping[Pair, Entry],
    thumbs: Container[str],
    *,
    title: str,
    facts: Mapping[str, str],
) -> str:
    """The page's HTML; `thumbs` holds the names of the thumbnails that exist."""
    cells = {pair: _cell(pair, entries.get(pair), thumbs) for pair in outputs}
    failed = [pair for pair, cell in cells.items() if cell.state == "failed"]
    for number, pair in enumerate(failed, start=1):
        cells[pair] = cells[pair]._replace(anchor=f"failed-{number}")
    counts = {
        "done": f"{sum(cell.state == 'done' for cell in cells.values()):,}",
        "total": f"{len(cells):,}",
        "failed": [cells[pair] for pair in failed],
    }
    shown = {printable(name): printable(value) for name, value in facts.items()}
    return _template().render(title=title, facts=shown, **counts, **_table(cells, thumbs))


def _table(cells: Mapping[Pair, Cell], thumbs: Container[str]) -> dict[str, Any]:
    """The table as the template takes it."""
    names, style_names, variants = (list(dict.fromkeys(pair[field] for pair in cells)) for field in range(3))
    contents = {name: _heading("content", name, thumbs) for name in names}
    styles = {name: _heading("style", name, thumbs) for name in style_names}
    shape = f"{counted(len(contents), 'content')} in {counted(len(styles), 'style')}"
    corner, is_sparse = "content", False
    if variants != [""]:
        shape += f", {counted(len(variants), 'variant')}"
        corner, columns = "pair", [Heading(printable(variant), printable(variant)) for variant in variants]
        rows = [
            Row(contents[name], [cells.get(Pair(name, style, each)) for each in variants], styles[style])
            for name, style in dict.fromkeys(pair[:2] for pair in cells)
        ]
    elif len(cells) >= _FULL_ENOUGH * len(contents) * len(styles):
        columns = list(styles.values())
        rows = [
            Row(heading, [cells.get(Pair(name, style)) for style in styles])
            for name, heading in contents.items()
        ]
    else:
        is_sparse, columns = True, [Heading("styles")]
        by_content: dict[str, list[Cell | None]] = {name: [] for name in contents}
        for pair, cell in cells.items():
            by_content[pair.content].append(cell)
        rows = [Row(contents[name], found) for name, found in by_content.items()]
    return {"shape": shape, "corner": corner, "columns": columns, "rows": rows, "is_sparse": is_sparse}


def _cell(pair: Pair, entry: Entry | None, thumbs: Container[str]) -> Cell:
    variant = f", {printable(pair.variant)}" if pair.variant else ""
    cell = Cell(
        state="waiting" if entry is None else entry.state,
        pair=f"{_label(pair.content)} in the style of {_label(pair.style)}{variant}",
        style=Heading(_label(pair.style), printable(pair.style)),
    )
    if entry is None:
        return cell
    if entry.state == "failed":
        return cell._replace(title=printable(entry.error or "unknown reason"))
    thumb = output_thumb(entry.output)
    width, height = entry.size_px or (1, 1)
    return cell._replace(
        title=printable(", ".join(_facts(entry))),
        href=_url(entry.output),
        src=_url(thumb if thumb in thumbs else entry.output),
        ratio=f"{max(width, 1) / max(height, 1):.4g}",
    )


def _facts(entry: Entry) -> Iterator[str]:
    """What is known about a picture."""
    yield entry.output
    if entry.size_px:
        yield f"{entry.size_px[0]} x {entry.size_px[1]} pixels"
    if entry.seconds is not None:
        yield f"{entry.seconds:.1f} s"
    yield from entry.notes


def _heading(kind: str, name: str, thumbs: Container[str]) -> Heading:
    thumb = heading_thumb(kind, name)
    return Heading(_label(name), printable(name), _url(thumb) if thumb in thumbs else None)


@functools.lru_cache(maxsize=4096)
def _label(name: str) -> str:
    """A name without its ending, printable; remembered, since each is part of many pairs."""
    return printable(str(PurePosixPath(name).with_suffix("")))


def _url(name: str) -> str:
    return urllib.parse.quote(os.fsencode(name), safe="/=~")


def _sha256(text: str) -> str:
    """As a Content-Security-Policy gives the hash of a script."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sha256"] = _sha256
    return environment.get_template("contact_sheet.html.jinja")
