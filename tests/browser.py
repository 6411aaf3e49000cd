"""A page in a real browser: Debian's Chromium without a window, with everything that it complained of."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@dataclasses.dataclass
class Visit:
    """An opened page, playwright's, and the errors and warnings of its console so far."""

    page: Any
    complaints: list[str]

    def until(self, expression: str) -> None:
        """Wait up to 10 seconds for an expression to hold; playwright's own waiting needs unsafe-eval."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"did not come true within 10 s: {expression}")

    def plots(self) -> list[tuple[str, int]]:
        """State of each visible plot, and how many paths it has; scrolls through the whole page."""
        self.page.evaluate(
            """async () => {
              const plots = [...document.querySelectorAll(".plot")].filter((plot) => plot.offsetParent);
              for (const plot of plots) {
                plot.scrollIntoView();
                for (let i = 0; i < 400 && !["drawn", "failed"].includes(plot.dataset.state); i++)
                  await new Promise((go) => setTimeout(go, 25));
              }
            }"""
        )
        found = self.page.eval_on_selector_all(
            ".plot",
            "plots => plots.filter((plot) => plot.offsetParent)"
            ".map((plot) => [plot.dataset.state, plot.querySelectorAll('path').length])",
        )
        return [(state, count) for state, count in found]

    def broken_pictures(self) -> int:
        """How many of the page's pictures show nothing, each series of pictures over time once in view.

        A series is filled when the page's observer sees it, which scrolling past it need not let happen.
        """
        series = "[...document.querySelectorAll('.frames')]"
        for index in range(self.page.evaluate(f"{series}.length")):
            self.page.evaluate(f"{series}[{index}].scrollIntoView()")
            self.until(f"!{series}[{index}].offsetParent || {series}[{index}].dataset.state === 'shown'")
        shown = "[...document.images].filter((each) => each.offsetParent)"
        self.until(f"{shown}.every((each) => each.complete)")
        return int(self.page.evaluate(f"{shown}.filter((each) => !each.naturalWidth).length"))


@contextlib.contextmanager
def visited(file: Path, *, scheme: str = "light", width: int = 1200, height: int = 900) -> Iterator[Visit]:
    """Open an HTML file in a fresh browser. scheme: which colours are preferred, light or dark."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": height})
            complaints: list[str] = []
            page.on(
                "console",
                lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
            page.on(
                "request",
                lambda request: (
                    complaints.append(f"asked for {request.url[:80]}")
                    if not request.url.startswith(("file:", "data:", "blob:"))
                    else None
                ),
            )
            page.goto(file.as_uri())
            yield Visit(page, complaints)
        finally:
            browser.close()
