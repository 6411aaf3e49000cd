"""The page of a run: what it says of runs in every state, and that a browser draws it."""

import io
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from rich.console import Console

from common.cli.signals import Interrupted
from common.errors import ConfigError
from common.storage.folder import Folder
from gan.cli import report
from gan.cli.report import leave_page
from gan.report.page import REPORT, write_report
from gan.run_folder import GENERATOR, Row, RunFolder, best_row
from tests.browser import needs_chromium, visited

HOSTILE = """run "x' <img src=y onerror=alert(1)>"""


@pytest.fixture
def results(plain_run: tuple[Folder, list[Row]], tmp_path: Path) -> RunFolder:
    """A copy of a finished run under a hostile name."""
    shutil.copytree(plain_run[0].location, tmp_path / HOSTILE)
    return RunFolder(Folder(str(tmp_path / HOSTILE)))


def page_of(results: RunFolder, *, makes_gallery: bool = False) -> str:
    return Path(write_report(results, makes_gallery=makes_gallery)).read_text()


def cut(results: RunFolder, ticks: int) -> None:
    """Leave the first ticks of the run."""
    path = Path(results.folder.location, "history.csv")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[: ticks + 1]))


def test_a_finished_run_says_how_good_it_is_and_how_to_train_it_longer(
    results: RunFolder, plain_run: tuple[Folder, list[Row]]
) -> None:
    page, best = page_of(results), best_row(plain_run[1], "swd")
    assert "Finished after 6,144 images." in page
    assert f"The best state has swd {best['swd']:.4g}, after {best['images_seen']:,.0f} images" in page
    assert "--images 12288" in page and "python -m gan report" in page
    assert page.count('class="plot"') == 6 and "samples over time" in page


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        (
            ("stopped", "decayed: swd was <b>1</b>"),
            "Stopped after 2,048 of 6,144 images for its verdict: decayed",
        ),
        (("diverged", "a loss is nan"), "Diverged after 2,048 of 6,144 images: a loss is nan."),
        (("interrupted", ""), "Interrupted after 2,048 of 6,144 images; it can be resumed."),
        (None, "2,048 of 6,144 images so far; the page is of a run that trains, or that was killed."),
    ],
)
def test_a_page_says_how_the_run_ended(results: RunFolder, ended: tuple[str, str] | None, text: str) -> None:
    cut(results, 4)
    if ended is not None:
        results.note_end(*ended)
    page = page_of(results)
    assert text in page and "<b>1" not in page
    assert ("--stop-when none" in page) == (ended is not None and ended[0] == "stopped")


def test_how_a_run_ended_is_forgotten_when_it_goes_on(results: RunFolder) -> None:
    results.note_end("interrupted", "")
    assert results.details()["workers"] == 1
    results.begin(results.config(), {"workers": 1})
    assert "ended" not in results.details()


def test_a_run_without_a_tick_and_one_with_a_single_one_say_what_is_missing(results: RunFolder) -> None:
    cut(results, 1)
    assert "512 of 6,144 images so far" in page_of(results)
    Path(results.folder.location, "history.csv").unlink()
    page = page_of(results)
    assert "No tick has ended yet" in page and 'class="plot"' not in page and len(page) < 2e6


def test_a_page_is_written_behind_a_url_and_where_the_generator_is_broken(results: RunFolder) -> None:
    far = RunFolder(Folder("memory://page-of-a-run"))
    for file in results.folder.list_files():
        far.folder.write(file.name, results.folder.read(file.name) or b"")
    far.folder.write(GENERATOR, b"torn")
    assert write_report(far) == "memory://page-of-a-run/report.html"
    page = (far.folder.read(REPORT) or b"").decode()
    assert "The gallery of the best state could not be made" in page and page.count('class="plot"') == 6
    assert "samples over time" in page


def test_what_is_no_run_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no run.*python -m tune report"):
        write_report(RunFolder(Folder(str(tmp_path))))


def test_the_page_at_the_end_of_training_never_costs_the_run(
    results: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    console = Console(file=said, width=200)
    leave_page(results, "interrupted", "", console)
    path = results.folder.path(REPORT)
    assert f"report: {path}" in said.getvalue().replace("\n", "")
    assert not Path(results.folder.location, "gallery").exists(), "one that is stopped need not wait for it"

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no space\nleft")

    monkeypatch.setattr(report, "write_report", broken)
    leave_page(results, "finished", "", console)
    assert "report.html was not written: no space left" in said.getvalue()

    def stopped(*_: object, **__: object) -> None:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(report, "write_report", stopped)
    with pytest.raises(Interrupted):
        leave_page(results, "finished", "", console)
    last = said.getvalue().replace("\n", "")
    assert f"python -m gan report {shlex.quote(results.folder.location)} does it" in last


@needs_chromium
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 400)])
def test_a_browser_draws_the_whole_page(results: RunFolder, scheme: str, width: int) -> None:
    cut(results, 11)
    results.note_end("stopped", HOSTILE)
    file = Path(write_report(results))
    with visited(file, scheme=scheme, width=width) as visit:
        assert [state for state, _ in visit.plots()] == ["drawn"] * 6
        assert visit.page.title() == HOSTILE and HOSTILE in visit.page.inner_text("body")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        assert visit.broken_pictures() == 0
        assert visit.complaints == []
