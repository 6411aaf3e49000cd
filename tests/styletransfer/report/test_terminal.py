"""What a batch prints: lines where there is no terminal, a bar where there is one."""

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from common.text import duration
from styletransfer.report.terminal import BatchView


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that only the test moves on."""
    now = [1000.0]
    monkeypatch.setattr("styletransfer.report.terminal.time.monotonic", lambda: now[0])

    def pass_(seconds: float) -> None:
        now[0] += seconds

    return pass_


def counts_of(done: int = 0, failed: int = 0) -> Any:
    return SimpleNamespace(
        done=done,
        failed=failed,
        total=20,
        seconds=90.0,
        first_error="cat.jpg\x1b in the style of s.jpg: torn" if failed else "",
    )


def test_without_a_terminal_a_line_comes_now_and_then_and_one_at_the_end(
    clock: Callable[[float], None],
) -> None:
    file = io.StringIO()
    view = BatchView(Console(file=file, width=40))
    assert view.summary() == "no pair done yet"
    counts = counts_of()
    with view.stylizing(counts):
        clock(100)  # until the workers are ready
        view.ready()
        for _ in range(60):
            clock(1)
            counts.done += counts.done < 10
            view.ready()  # counts only once
            view.refresh()
        counts.failed, counts.first_error = 2, counts_of(failed=1).first_error
        view.refresh()
        assert view.summary() == "10 of 20 pairs done, 2 failed"
    view.finish(120.0, 100.0)
    assert file.getvalue().splitlines() == [
        "10 of 20 pairs, 40 pairs/min, about 15 s left",
        "12 of 20 pairs, 12 pairs/min, about 40 s left, 2 failed",
        "10 of 20 pairs done, 2 failed in 1 min 0 s, 12 pairs/min; "
        "workers busy 75.0%, 90.0% up to the last pair of each",
        "first failure: cat.jpg\\x1b in the style of s.jpg: torn",
    ]


def test_in_a_terminal_a_bar_tells_counts_rate_and_failures(clock: Callable[[float], None]) -> None:
    file = io.StringIO()
    view = BatchView(Console(file=file, force_terminal=True, width=120))
    with view.stylizing(counts_of(done=4, failed=1)):
        view.ready()
        clock(30)
        view.refresh()
    shown = file.getvalue()
    assert "stylizing" in shown and "5/20" in shown and "10 pairs/min, 1 failed" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
