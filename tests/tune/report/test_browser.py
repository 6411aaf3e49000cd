"""The page in a real browser: every plot is drawn, the ranking sorts and unfolds, light, dark and narrow."""

from pathlib import Path

import pytest

from tests.browser import needs_chromium, visited
from tests.tune.made_up import made_up
from tune.report import write_report

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a finished sweep of 26 trials."""
    made = made_up(tmp_path_factory.mktemp("sweeps"), trials=26, ticks=8, grids=3)
    return Path(write_report([made.write()]))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 400)])
def test_every_plot_is_drawn_and_nothing_sticks_out(page: Path, scheme: str, width: int) -> None:
    with visited(page, scheme=scheme, width=width) as visit:
        states = visit.plots()
        assert len(states) >= 14 and all(state == "drawn" and count > 8 for state, count in states)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        shade = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(shade.split("(")[1].split(",")[0]) > 128) == (scheme == "light")
        assert visit.complaints == []


def test_each_choice_of_an_axis_is_drawn(page: Path) -> None:
    with visited(page) as visit:
        section = visit.page.locator("#objective")
        section.get_by_role("button", name="over cost").click()
        visit.until("document.querySelector('#objective .tab:not([hidden]) .plot').dataset.state == 'drawn'")
        assert "worker-seconds" in section.locator(".tab:visible .xtitle").text_content()
        assert visit.complaints == []


def test_the_ranking_sorts_shows_all_and_unfolds_to_curves_and_pictures(page: Path) -> None:
    with visited(page) as visit:
        board = visit.page.locator("table.board")
        assert board.locator("tbody:visible").count() == 20
        visit.page.get_by_role("button", name="show all 26 trials").click()
        assert board.locator("tbody:visible").count() == 26
        board.get_by_role("button", name="trial", exact=True).click()
        first = [text.split(" ")[0] for text in board.locator(".unfold").all_text_contents()]
        assert first == [str(number) for number in range(26)]
        board.get_by_role("button", name="fd_lite0_1k").click()
        values = [
            float(text) for text in board.locator("tbody tr:first-child td:nth-child(3)").all_text_contents()
        ]
        assert values == sorted(values)
        board.locator(".unfold").first.click()
        visit.page.wait_for_selector("tr.inside:visible .frames[data-state=shown]", timeout=20_000)
        unfolded = board.locator("tr.inside:visible")
        visit.plots()
        assert unfolded.locator(".plot[data-state=drawn]").count() == 3
        assert unfolded.locator("figcaption").text_content() == "64,000 images"
        assert (
            unfolded.locator("img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 50
        )
        board.locator(".unfold").first.click()
        assert board.locator("tr.inside:visible").count() == 0
        assert visit.complaints == []
