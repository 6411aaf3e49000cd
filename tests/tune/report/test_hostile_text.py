"""Texts from outside are shown as texts, also inside charts, and no browser runs any of them."""

import dataclasses
from pathlib import Path

import pytest

from tests.browser import needs_chromium, visited
from tests.tune.made_up import Made, empty, made_up
from tune.records.events import StateConfirmed, Tick, TrialEnded, TrialStarted
from tune.report import write_report
from tune.space.domains import Choice, Float
from tune.space.space import Space

NASTY = (
    """</script><script>top.pwned=1</script>'"&amp;<img src=x onerror="top.pwned=1">"""
    """<b>bold</b><a href="javascript:top.pwned=1">{{7*7}}%{x}\nsecond line\u202e"""
)
POLICY, RATE, OTHER = "balance.policy", "optimizer.generator_lr", "optimizer.discriminator_lr"


@pytest.fixture
def hostile(tmp_path: Path) -> Made:
    """A sweep in whose log every text is nasty, below a folder with a nasty name."""
    storage = tmp_path / NASTY.replace("/", "\\").replace("\n", " ")[:100]
    rates = {path: Float(1e-5, 2e-3, log=True) for path in (RATE, OTHER)}
    space = Space({**rates, POLICY: Choice(("none", "loss"))})
    made = made_up(storage, trials=14, ticks=4, grids=2, space=space)
    changed = []
    for event in made.events:
        if isinstance(event, TrialStarted):
            values = {**event.values, POLICY: NASTY}
            event = dataclasses.replace(event, trial_id=NASTY, values=values)
        elif isinstance(event, Tick):
            texts = dict.fromkeys(("trial_id", "verdict", "verdict_evidence", "node"), NASTY)
            values = {**(event.values or {}), POLICY: NASTY}
            metrics = {**event.metrics, NASTY: 1.0}
            event = dataclasses.replace(event, values=values, metrics=metrics, **texts)  # type: ignore[arg-type]
        elif isinstance(event, TrialEnded):
            event = dataclasses.replace(
                event, state="failed", reason=NASTY, verdict=NASTY if event.number % 2 else None
            )
        elif isinstance(event, StateConfirmed):
            event = dataclasses.replace(event, metric=NASTY, second_metric=NASTY)
        changed.append(event)
    made.events = changed
    made.folder.files.write(f"grids/0000/{NASTY.replace('/', '_')[:60]}.webp", b"x")
    return made


@needs_chromium
@pytest.mark.parametrize("count", [1, 2])
def test_nasty_texts_are_shown_and_not_run(hostile: Made, tmp_path: Path, count: int) -> None:
    locations = [hostile.write(), made_up(tmp_path, "other", trials=3).write()][:count]
    file = Path(write_report(locations))
    assert "could not be drawn:" not in file.read_text().replace("this plot could not be drawn:", "")
    with visited(file) as visit:
        states = visit.plots()
        assert {state for state, _ in states} == {"drawn"} and len(states) > 10
        unfold = visit.page.locator(".unfold:visible")
        for place in range(min(4, unfold.count())):
            unfold.nth(place).click()
        visit.plots()
        for button in visit.page.locator(".tab-bar button").all():
            button.click()
        for bar in visit.page.locator(".plot:visible .point:visible").all()[:3]:
            bar.hover(force=True)
        text = visit.page.evaluate("document.body.textContent")
        assert "<img src=x onerror" in text and "</script><script>top.pwned=1</script>" in text
        assert visit.page.locator("main b, main img[src=x], .plot a").count() == 0
        drawn = visit.page.evaluate(
            "[...document.querySelectorAll('.plot svg text')].map((t) => t.textContent)"
        )
        assert any("<b>bold" in line or "<script>" in line for line in drawn)
        assert visit.page.evaluate("window.pwned") is None and visit.complaints == []


def test_the_name_of_a_new_trial_cannot_add_a_tag(hostile: Made) -> None:
    plain = made_up(Path(hostile.folder.storage_path).parent, "plain", trials=14, ticks=4, grids=2)
    tags = []
    for made in (plain, hostile):
        page = Path(write_report([made.write()])).read_text()
        tags.append({kind: page.count(f"<{kind}") for kind in ("script", "img", "b>", "a ", "iframe")})
    assert tags[1]["b>"] == tags[1]["iframe"] == 0 and tags[0]["a "] == tags[1]["a "]
    assert "<img src=x" not in page and page.count("<script>") == 1  # that of page.js


def test_an_empty_page_has_a_title(tmp_path: Path) -> None:
    file = Path(write_report([empty(tmp_path, "a.b_c").write()]))
    assert "<title>a.b_c</title>" in file.read_text()
