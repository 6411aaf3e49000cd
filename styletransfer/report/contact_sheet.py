"""The contact sheet of an output folder, `index.html`, and its thumbnails; its looks live in `sheet_page`."""

import html
import os
import urllib.parse
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from common.storage.folder import Folder
from common.text import counted, printable
from styletransfer.planning.manifest import Entry
from styletransfer.planning.output_names import THUMBS_FOLDER, heading_thumb, output_thumb
from styletransfer.planning.pairs import Pair
from styletransfer.report.contact_sheet_page import PAGE

SHEET_NAME = "index.html"
_FULL_ENOUGH = 0.5


def write_sheet(
    folder: Folder,
    outputs: Mapping[Pair, str],
    entries: Mapping[Pair, Entry],
    *,
    title: str = "Style transfer",
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write `index.html`, which shows each pair of `outputs` (pair -> name of its picture) as `entries` tell.

    Contents are rows and styles columns; with variants each pair is a row and its variants are columns; where
    less than half of that table were filled, a row holds its pairs side by side. Thumbnails are taken from
    where `output_thumb` and `heading_thumb` say, and where one is missing the picture itself. `facts` are
    shown above, such as the settings.

    Raises: WriteError when the folder is full or the like.
    """
    thumbs = {file.name for file in folder.list_files(THUMBS_FOLDER)}
    page = render(outputs, entries, thumbs, title=title, facts=facts or {})
    # a name that is no Unicode is shown with a mark instead
    folder.write(SHEET_NAME, page.encode("utf-8", "replace"))


def render(
    outputs: Mapping[Pair, str],
    entries: Mapping[Pair, Entry],
    thumbs: Container[str],
    *,
    title: str,
    facts: Mapping[str, str],
) -> str:
    """The page's HTML; `thumbs` holds the names of the thumbnails there are."""
    cells = _Cells(outputs, entries, thumbs)
    done = sum(_is_state(entries.get(pair), "done") for pair in outputs)
    contents, styles = _unique(pair.content for pair in outputs), _unique(pair.style for pair in outputs)
    variants = _unique(pair.variant for pair in outputs)
    if variants != [""]:
        table = _variant_table(cells, variants)
    elif len(outputs) >= _FULL_ENOUGH * len(contents) * len(styles):
        table = _product_table(cells, contents, styles)
    else:
        table = _loose_table(cells)
    shape = f"{counted(len(contents), 'content')} in {counted(len(styles), 'style')}"
    if variants != [""]:
        shape += f", {counted(len(variants), 'variant')}"
    counts = [f"<b>{done:,}</b> of {len(outputs):,} done", shape]
    if cells.failed:
        counts.insert(1, f'<span class="bad">{len(cells.failed):,} failed</span>')
    return PAGE % {
        "title": html.escape(title),
        "counts": " · ".join(counts),
        "caption": html.escape(f"{title}: {shape}"),
        "facts": _facts(facts),
        "failures": cells.failures(),
        "table": "\n".join(table),
    }


class _Cells:
    """HTML of single pairs and headings."""

    def __init__(
        self, outputs: Mapping[Pair, str], entries: Mapping[Pair, Entry], thumbs: Container[str]
    ) -> None:
        self.outputs = outputs
        self.failed = [pair for pair in outputs if _is_state(entries.get(pair), "failed")]
        self._anchors = {pair: f"failed-{number}" for number, pair in enumerate(self.failed, start=1)}
        self._entries = entries
        self._thumbs = thumbs

    def cell(self, pair: Pair) -> str:
        """The picture as a link, or why there is none."""
        entry, what = self._entries.get(pair), _described(pair)
        if entry is None:
            return f'<div class="cell waiting" tabindex="0" aria-label="{what}: not done yet">not yet</div>'
        if entry.state == "failed":
            reason = _text(entry.error or "unknown reason")
            return (
                f'<div class="cell failed" tabindex="0" id="{self._anchors[pair]}" title="{reason}">'
                f"<strong>failed</strong><span>{reason}</span></div>"
            )
        thumb = output_thumb(entry.output)
        source = _url(thumb if thumb in self._thumbs else entry.output)
        title, ratio = _text(", ".join(_told(entry))), _ratio(entry)
        return (
            f'<a class="cell" href="{_url(entry.output)}" title="{title}">'
            f'<img loading="lazy" decoding="async" style="--r:{ratio}" src="{source}" alt="{what}"></a>'
        )

    def heading(self, kind: str, name: str) -> str:
        """A content or style: its picture, if there is one, and its name."""
        thumb = heading_thumb(kind, name)
        # the name stands beside it: to read it twice would tire a listener
        image = f'<img loading="lazy" src="{_url(thumb)}" alt="">' if thumb in self._thumbs else ""
        return f'{image}<span class="name" title="{_text(name)}">{_text(_short(name))}</span>'

    def failures(self) -> str:
        """The failed pairs with their reasons, each a link to its cell."""
        if not self.failed:
            return ""
        items = "\n".join(
            f'<li><a href="#{anchor}">{_described(pair)}</a>: {_text(self._entries[pair].error or "")}</li>'
            for pair, anchor in self._anchors.items()
        )
        summary = f"why {len(self.failed):,} failed"
        return f"<details><summary>{summary}</summary><ol>\n{items}\n</ol></details>\n"


def _product_table(cells: _Cells, contents: list[str], styles: list[str]) -> Iterator[str]:
    yield _head("content", [cells.heading("style", style) for style in styles])
    yield "<tbody>"
    for content in contents:
        row = (Pair(content, style) for style in styles)
        yield _row(
            cells.heading("content", content), [cells.cell(p) if p in cells.outputs else "" for p in row]
        )
    yield "</tbody>"


def _variant_table(cells: _Cells, variants: list[str]) -> Iterator[str]:
    yield _head("pair", [f'<span class="name">{_text(variant)}</span>' for variant in variants])
    yield "<tbody>"
    for content, style in dict.fromkeys(pair[:2] for pair in cells.outputs):
        heading = cells.heading("content", content)
        heading += f'<span class="name by" title="{_text(style)}">in {_text(_short(style))}</span>'
        row = (Pair(content, style, variant) for variant in variants)
        yield _row(heading, [cells.cell(pair) if pair in cells.outputs else "" for pair in row])
    yield "</tbody>"


def _loose_table(cells: _Cells) -> Iterator[str]:
    of_content: dict[str, list[Pair]] = {}
    for pair in cells.outputs:
        of_content.setdefault(pair.content, []).append(pair)
    yield _head("content", ["styles"])
    yield "<tbody>"
    for content, pairs in of_content.items():
        figures = "".join(
            f'<figure>{cells.cell(pair)}<figcaption title="{_text(pair.style)}">{_text(_short(pair.style))}'
            "</figcaption></figure>"
            for pair in pairs
        )
        yield _row(cells.heading("content", content), [f'<div class="row">{figures}</div>'])
    yield "</tbody>"


def _head(corner: str, headings: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    return f'<thead><tr><th class="corner" scope="col">{corner}</th>{cells}</tr></thead>'


def _row(heading: str, cells: Iterable[str]) -> str:
    return f'<tr><th scope="row">{heading}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _facts(facts: Mapping[str, str]) -> str:
    shown_facts = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items()
    )
    return f"<dl>{shown_facts}</dl>\n" if facts else ""


def _told(entry: Entry) -> Iterator[str]:
    """What is said about a picture when one points at it."""
    yield entry.output
    if entry.size_px:
        yield f"{entry.size_px[0]} x {entry.size_px[1]} pixels"
    if entry.seconds is not None:
        yield f"{entry.seconds:.1f} s"
    yield from entry.notes


def _ratio(entry: Entry) -> str:
    width, height = entry.size_px or (1, 1)
    return f"{max(width, 1) / max(height, 1):.4g}"


def _described(pair: Pair) -> str:
    variant = f", {pair.variant}" if pair.variant else ""
    return _text(f"{_short(pair.content)} in the style of {_short(pair.style)}{variant}")


def _short(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _text(text: str) -> str:
    return html.escape(printable(text))


def _url(name: str) -> str:
    return urllib.parse.quote(os.fsencode(name), safe="/=~")


def _is_state(entry: Entry | None, state: str) -> bool:
    return entry is not None and entry.state == state


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
