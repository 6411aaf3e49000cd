"""The contact sheet: its HTML read by a parser, and the page as a real browser shows it."""

import contextlib
import functools
import html
import http.server
import io
import json
import re
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common.storage.folder import Folder
from styletransfer.pictures.thumbnails import THUMB_SIDE_PX, thumbnail
from styletransfer.planning.manifest import Entry
from styletransfer.planning.output_names import assign_names, heading_thumb, output_thumb
from styletransfer.planning.pairs import Pair, product
from styletransfer.report.contact_sheet import SHEET_NAME, render, write_sheet

NASTY = [
    'it\'s "a" <img src=x onerror=top.pwned=1>.png',
    "50% #1 ?x=1&y=2.jpg",
    "</title></style><script>top.pwned=1<!--.png",
    "żółć 猫 \u202e.jpg",
    "a\udcff\nb.png",
]


class Page(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and attributes.items() <= a.items()]


def done(pair: Pair, output: str, **changes: Any) -> Entry:
    fields = {"content": pair.content, "style": pair.style, "variant": pair.variant, "output": output}
    return Entry(**{**fields, "state": "done", "size_px": (40, 30), "seconds": 1.5} | changes)


def page_of(
    outputs: Mapping[Pair, str], entries: Mapping[Pair, Entry] | None = None, thumbs: set[str] | None = None
) -> Page:
    if entries is None:
        entries = {pair: done(pair, output) for pair, output in outputs.items()}
    return Page(render(outputs, entries, thumbs or set(), title="a & b", facts={"features": "<compact>"}))


def test_contents_are_rows_and_styles_columns() -> None:
    outputs = assign_names(product(["a.jpg", "b.jpg"], ["x.jpg", "y.jpg", "z.jpg"]), ".png")
    page = page_of(outputs)
    assert [cell["href"] for cell in page.of("a")] == list(outputs.values())
    assert len(page.of("th", scope="col")) == 4 and len(page.of("th", scope="row")) == 2
    assert len(page.of("td")) == 6
    assert [image["alt"] for image in page.of("img")][1] == "a in the style of y"
    assert "6" in page.text and " of 6 done · 2 contents in 3 styles" in page.text
    assert "a & b" in page.text and "<compact>" in page.text


def test_thumbnails_are_shown_where_there_are_any_and_open_the_pictures() -> None:
    outputs = assign_names(product(["a.jpg"], ["x.jpg", "y.jpg"]), ".png")
    page = page_of(outputs, thumbs={output_thumb("a__x.png"), heading_thumb("style", "y.jpg")})
    sources = [image["src"] for image in page.of("img")]
    assert sources == [
        urllib.parse.quote(heading_thumb("style", "y.jpg")),
        "thumbs/output/a__x.png.jpg",
        "a__y.png",
    ]
    assert [link["href"] for link in page.of("a")] == ["a__x.png", "a__y.png"]
    assert all(image["loading"] == "lazy" for image in page.of("img"))


def test_a_failed_pair_shows_its_reason_and_one_that_waits_says_so() -> None:
    outputs = assign_names(product(["a.jpg"], ["x.jpg", "y.jpg", "z.jpg"]), ".png")
    failed, waits, fine = outputs
    entries = {fine: done(fine, outputs[fine])}
    entries[failed] = done(failed, outputs[failed], state="failed", error="no <such> file")
    page = page_of(outputs, entries)
    assert page.text.count("no <such> file") == 1 and ": no <such> file" in page.text
    assert "not yet" in page.text and "1 failed" in page.text
    anchors = [link["href"] for link in page.of("a") if (link["href"] or "").startswith("#")]
    assert anchors == ["#failed-1"] and len(page.of("div", id="failed-1")) == 1
    assert waits not in entries


def test_variants_are_columns_in_their_order() -> None:
    variants = ["style-weight=1", "style-weight=3", "style-weight=10"]
    outputs = assign_names(product(["a.jpg", "b.jpg"], ["x.jpg"], variants), ".png")
    page = page_of(outputs)
    assert [text for text in page.text if text in variants] == variants
    assert [link["href"] for link in page.of("a")] == list(outputs.values())
    assert len(page.of("th", scope="row")) == 2 and "in x" in page.text


def test_a_sparse_list_of_pairs_stands_side_by_side() -> None:
    pairs = [Pair(f"{number}.jpg", f"s{number}.jpg") for number in range(50)]
    page = page_of(assign_names([*pairs, Pair("0.jpg", "s1.jpg")], ".png"))
    assert len(page.of("td")) == 50 and len(page.of("figure")) == 51
    assert "s49" in page.text


file_names = st.text(min_size=1, max_size=20).filter(lambda name: PurePosixPath(name).name)


@given(st.lists(file_names | st.sampled_from(NASTY), min_size=1, max_size=4, unique=True))
@settings(deadline=None, max_examples=60)
def test_no_name_adds_a_tag_or_leaves_its_attribute(names: list[str]) -> None:
    pairs = [Pair(name, names[0], variant) for name in names for variant in ("", name)]
    plain = [Pair(f"n{i}", "n0", f"v{i}" if pair.variant else "") for i, pair in enumerate(pairs)]
    shapes = []
    for each in (pairs, plain):
        outputs = {pair: f"{number}.png" for number, pair in enumerate(each)}
        entries = {pair: done(pair, output) for pair, output in outputs.items()}
        entries[each[0]] = done(each[0], "0.png", state="failed", error=each[0].content)
        page = Page(
            render(outputs, entries, set(), title=each[0].content, facts={each[0].style: each[0].content})
        )
        shapes.append([(tag, sorted(attributes)) for tag, attributes in page.tags])
    rows = [tag for tag, _ in shapes[0]].count("tr"), [tag for tag, _ in shapes[1]].count("tr")
    assert set(map(str, shapes[0])) == set(map(str, shapes[1])) and rows[0] <= rows[1]


def test_every_output_is_linked_whatever_its_name(tmp_path: Path) -> None:
    for name in ("50% #1 ?x=1&y=2.png", 'it\'s "é".png', "a b/c;d.png", "x:y.png", "\udcff.png"):
        link = page_of({Pair("a", "b"): name}).of("a")[0]["href"] or ""
        parts = urllib.parse.urlsplit(urllib.parse.urljoin("http://host/out/index.html", link))
        assert (parts.netloc, parts.query, parts.fragment) == ("host", "", "")
        assert urllib.parse.unquote(parts.path, errors="surrogateescape") == f"/out/{name}"


def test_nothing_is_asked_for_from_elsewhere() -> None:
    outputs = assign_names(product(NASTY, NASTY), ".png")
    entries = {pair: done(pair, output) for pair, output in outputs.items()}
    page = render(outputs, entries, set(), title="t", facts={})
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"/\*.*?\*/", "", page))


def test_ten_thousand_pairs_make_a_page_of_a_few_megabytes() -> None:
    names = [f"holiday/IMG_{number:04}.jpg" for number in range(100)]
    outputs = assign_names(product(names, names), ".png")
    page = page_of(outputs)
    assert len(page.of("a")) == 10_000
    entries = {pair: done(pair, output) for pair, output in outputs.items()}
    assert len(render(outputs, entries, set(), title="t", facts={})) < 5e6


def test_a_thumbnail_is_a_small_jpeg_on_white() -> None:
    rgb = np.zeros((600, 900, 3), np.uint8)
    with Image.open(io.BytesIO(thumbnail(rgb, np.zeros((600, 900), np.uint8)))) as image:
        assert image.format == "JPEG" and image.size == (THUMB_SIDE_PX, THUMB_SIDE_PX * 2 // 3)
        assert np.asarray(image).min() > 250
    with Image.open(io.BytesIO(thumbnail(np.zeros((1, 1000, 3), np.uint8)))) as image:
        assert image.size == (THUMB_SIDE_PX, 1)


# ---- in a real browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# looks at the page from outside, as a visitor with a keyboard would, and writes down what it saw
VISIT = """<!doctype html><meta charset="utf-8"><body>
<iframe id="page" src="/out/index.html" style="width:700px;height:600px"></iframe><pre id="seen"></pre>
<script>
const frame = document.querySelector("#page"), pause = (ms) => new Promise((go) => setTimeout(go, ms));
const key = (name) => frame.contentDocument.activeElement.dispatchEvent(
  new frame.contentWindow.KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
frame.addEventListener("load", async () => {
  const page = frame.contentDocument, view = frame.contentWindow, seen = {};
  const main = page.querySelector("main");
  const cells = [...page.querySelectorAll(".cell")], focused = () => cells.indexOf(page.activeElement);
  seen.background = view.getComputedStyle(page.body).backgroundColor;
  seen.ink = view.getComputedStyle(page.body).color;
  seen.heights = cells.slice(0, 3).map((cell) => Math.round(cell.getBoundingClientRect().height));
  for (const image of page.images) image.loading = "eager";
  for (let i = 0; i < 100 && ![...page.images].every((image) => image.complete); i++) await pause(50);
  seen.images = [...page.images].map((image) => [image.getAttribute("src"), image.naturalWidth]);
  seen.heightsLoaded = cells.slice(0, 3).map((cell) => Math.round(cell.getBoundingClientRect().height));
  const links = [...page.querySelectorAll("a.cell")];
  seen.links = await Promise.all(links.map(async (link) => (await fetch(link.href)).status));
  cells[0].focus();
  seen.path = [focused()];
  for (const name of ["ArrowRight", "ArrowDown", "End", "ArrowDown", "Home", "ArrowUp", "ArrowLeft"]) {
    key(name); seen.path.push(focused());
  }
  main.scrollTo(150, 250); await pause(50);
  seen.scrolled = [main.scrollLeft, main.scrollTop];
  const at = main.getBoundingClientRect(), of = (query) => page.querySelector(query).getBoundingClientRect();
  seen.headAbove = of("thead th:nth-child(3)").top - at.top;
  seen.rowBeside = of("tbody tr:last-child th").left - at.left;
  seen.corner = [of(".corner").left - at.left, of(".corner").top - at.top];
  seen.wide = page.documentElement.scrollWidth <= view.innerWidth;
  const slider = page.querySelector("#size");
  slider.value = 80; slider.dispatchEvent(new view.Event("input"));
  seen.small = Math.round(cells[0].getBoundingClientRect().width);
  seen.pwned = top.pwned ?? null;
  seen.title = page.title;
  document.querySelector("#seen").textContent = JSON.stringify(seen);
});
</script>"""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def visited(folder: Path, scheme: str) -> dict[str, Any]:
    """What VISIT saw where light or dark colours are preferred."""
    assert CHROMIUM is not None
    (folder / "visit.html").write_text(VISIT)
    with served(folder) as address:
        options = "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run "
        options += "--disable-component-update --disable-sync --virtual-time-budget=20000 --dump-dom "
        answer = subprocess.run(
            [
                CHROMIUM,
                *options.split(),
                f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
                f"--user-data-dir={folder / 'profile'}",
                "--window-size=1000,900",
                f"{address}/visit.html",
            ],
            capture_output=True,
            text=True,
            timeout=280,
            check=True,
        )
    found = re.search(r'<pre id="seen">(.+?)</pre>', answer.stdout, re.DOTALL)
    assert found is not None, answer.stdout[-2000:] + answer.stderr[-2000:]
    seen: dict[str, Any] = json.loads(html.unescape(found[1]))
    return seen


def brightness(colour: str) -> float:
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_the_sheet_and_obeys_the_keyboard(tmp_path: Path, scheme: str) -> None:
    folder = Folder(str(tmp_path / "out"))
    pairs = product(NASTY[:4], NASTY[:4])
    outputs = assign_names(pairs, ".png") | {pairs[2]: "50% #1 it's & é/a+b;c.png"}
    picture = np.full((300, 400, 3), 200, np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    for kind in ("content", "style"):
        for name in NASTY[:4]:
            folder.write(heading_thumb(kind, name), thumbnail(picture))
    entries = {}
    for number, (pair, output) in enumerate(outputs.items()):
        if number == 5:
            entries[pair] = done(pair, output, state="failed", error="<script>top.pwned=1</script>")
        elif number != 6:
            folder.write(output, file.getvalue())
            folder.write(output_thumb(output), thumbnail(picture))
            entries[pair] = done(pair, output, size_px=(400, 300))
    write_sheet(folder, outputs, entries, title=NASTY[2], facts={"features": "<script>top.pwned=1</script>"})
    assert (tmp_path / "out" / SHEET_NAME).is_file()

    seen = visited(tmp_path, scheme)
    background, ink = brightness(seen["background"]), brightness(seen["ink"])
    assert background > 200 > 60 > ink if scheme == "light" else background < 60 < 200 < ink
    assert len(seen["images"]) == 14 + 8 and all(width > 0 for _, width in seen["images"]), seen["images"]
    assert seen["links"] == [200] * 14
    assert seen["heights"] == seen["heightsLoaded"] == [126] * 3  # 168 x 3/4: nothing jumps while it loads
    assert seen["path"] == [0, 1, 5, 7, 11, 8, 4, 4]
    assert seen["scrolled"] == [150, 250] and seen["wide"]
    assert seen["headAbove"] == 0 and seen["rowBeside"] == 0 and seen["corner"] == [0, 0]
    assert seen["small"] == 80
    assert seen["pwned"] is None and seen["title"] == NASTY[2]
