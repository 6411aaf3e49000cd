"""The skeleton of a page: what it embeds cannot leave its place, and a browser draws and plays it."""

import html
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from common.page.figures import SERIES, figure_json, script_json
from common.page.render import data_url, render
from tests.browser import needs_chromium, visited

NASTY = """</script><script>top.pwned=1</script><img src=x onerror="top.pwned=1"> ' & <b>x</b>"""


def picture(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), level).save(buffer, "WEBP")
    return buffer.getvalue()


def test_json_cannot_leave_its_script_element_and_says_the_same() -> None:
    text = script_json({NASTY: [NASTY, "\u2028", 1.5]})
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == {NASTY: [NASTY, "\u2028", 1.5]}


def test_texts_of_a_figure_are_shown_as_texts_and_what_is_not_finite_is_missing() -> None:
    figure = go.Figure(go.Scatter(x=["<b>", "b"], y=[float("nan"), 1.0], name=NASTY, text=("a\nb",)))
    figure.update_traces(hovertemplate="%{text}<extra></extra>")
    (trace,) = json.loads(figure_json(figure))["data"]
    assert html.unescape(trace["name"]) == NASTY and "<" not in trace["name"]
    assert trace["x"] == ["&lt;b&gt;", "b"] and trace["y"] == [None, 1.0]
    assert trace["text"] == ["a<br>b"] and trace["hovertemplate"] == "%{text}<extra></extra>"


def test_a_figure_may_hold_arrays_and_leaves_plotlys_template_out() -> None:
    figure = go.Figure(go.Heatmap(z=np.eye(2), x=np.array(["<", ">"])), layout={"title": {"text": "t"}})
    found = json.loads(figure_json(figure))
    assert "template" not in found["layout"] and found["layout"]["title"] == {"text": "t"}
    assert found["data"][0]["x"] == ["&lt;", "&gt;"]
    assert json.loads(figure_json({"data": [{"y": np.arange(2), "z": np.float32(1)}]}))["data"] == [
        {"y": [0, 1], "z": 1.0}
    ]


def test_a_pictures_url_says_of_what_kind_it_is() -> None:
    assert data_url(picture(0)).startswith("data:image/webp;base64,")
    assert data_url(b"\x89PNG....").startswith("data:image/png;") and data_url(b"GIF89a").startswith(
        "data:image/gif"
    )


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with two plots, the second far below, pictures over time and a table, all with a nasty text."""
    template = tmp_path / "template.html.jinja"
    template.write_text(
        """{% extends "base.html.jinja" %}{% import "parts.html.jinja" as parts %}
        {% block main %}
        {% call parts.section("one", title, question=title) %}{{ parts.plot(figure, title) }}{% endcall %}
        {{ parts.frames(frames, title) }}{{ parts.facts({title: title}) }}{{ parts.command(title) }}
        <table class="sortable"><thead><tr><th><button>n</button></th></tr></thead>
        {% for number in ["3", "", "10", "1"] %}
        <tbody><tr><td data-value="{{ number }}"><button class="unfold">{{ number }}</button></td></tr>
        <tr class="inside" hidden><td>{{ parts.plot(figure, "in") }}</td></tr></tbody>
        {% endfor %}</table>
        <div style="height:5000px"></div>{{ parts.plot(figure, "below") }}{% endblock %}"""
    )
    figure = go.Figure(
        go.Scatter(x=[NASTY, "b"], y=[1, 2], name=NASTY, marker={"color": SERIES[0]}, showlegend=True),
        layout={"title": {"text": NASTY}},
    )
    frames = [(f"{level} {NASTY}", picture(level)) for level in (10, 200)]
    file = tmp_path / "page.html"
    file.write_bytes(render(template, title=NASTY, figure=figure, frames=frames))
    return file


def test_nothing_is_asked_for_from_elsewhere_and_every_script_is_in_the_policy(page: Path) -> None:
    text = page.read_text()
    own = re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"/\*.*?\*/", "", own))
    policy = re.search(r'Content-Security-Policy" content="(.+?)"', text)
    assert policy is not None and "unsafe-eval" not in policy[1]
    assert policy[1].count("sha256-") == 2 and "default-src 'none'" in policy[1]


def trace_colour(page: Any) -> str:
    found: str = page.eval_on_selector(
        ".plot .scatterlayer path.js-line", "line => getComputedStyle(line).stroke"
    )
    return found


@needs_chromium
def test_a_browser_draws_plots_when_they_are_seen_and_recolours_them(page: Path) -> None:
    with visited(page) as visit:
        visit.page.wait_for_selector(".plot[data-state=drawn]", timeout=20_000)
        states = visit.page.eval_on_selector_all(
            ".plot", "plots => plots.map((plot) => plot.dataset.state ?? '')"
        )
        assert states == ["drawn", "", "", "", "", ""]
        light, page_light = (
            trace_colour(visit.page),
            visit.page.evaluate("getComputedStyle(document.body).color"),
        )
        visit.page.emulate_media(color_scheme="dark")
        visit.until(f"getComputedStyle(document.querySelector('.js-line')).stroke != '{light}'")
        assert visit.page.evaluate("getComputedStyle(document.body).color") != page_light
        assert [state for state, _ in visit.plots()] == ["drawn", "drawn"]
        assert all(count > 10 for _, count in visit.plots())
        shown = visit.page.text_content(".plot .gtitle")
        assert shown == NASTY and visit.page.text_content(".plot .xtick text") == NASTY
        assert visit.page.evaluate("window.pwned") is None
        assert visit.page.text_content("h2") == NASTY and visit.page.title() == NASTY
        assert visit.complaints == []


@needs_chromium
def test_a_browser_plays_pictures_sorts_and_unfolds(page: Path) -> None:
    with visited(page) as visit:
        caption = visit.page.locator("figcaption")
        visit.page.wait_for_selector(".frames[data-state=shown]")
        assert caption.text_content() == f"200 {NASTY}"
        visit.page.get_by_role("slider").press("Home")
        assert caption.text_content() == f"10 {NASTY}"
        visit.page.click(".frames-play")
        visit.until("document.querySelector('figcaption').textContent.startsWith('200')")

        def order() -> list[str]:
            found: list[str] = visit.page.locator(".unfold").all_text_contents()
            return found

        visit.page.click("th button")
        assert order() == ["1", "3", "10", ""]
        visit.page.click("th button")
        assert order() == ["10", "3", "1", ""]
        visit.page.locator(".unfold").first.click()
        visit.page.wait_for_selector("tr.inside:not([hidden]) .plot[data-state=drawn]", timeout=20_000)
        assert visit.page.locator("tr.inside:visible").count() == 1
        assert visit.complaints == []


@needs_chromium
def test_a_script_that_is_not_the_pages_own_does_not_run(page: Path) -> None:
    page.write_text(page.read_text().replace("</main>", "<script>top.pwned=1</script></main>"))
    with visited(page) as visit:
        visit.page.wait_for_selector(".plot[data-state=drawn]", timeout=20_000)
        assert visit.page.evaluate("window.pwned") is None and len(visit.complaints) == 1
