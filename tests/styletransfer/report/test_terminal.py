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
        "12 of 20 pairs, 10 pairs/min, about 48 s left, 2 failed",
        "10 of 20 pairs done, 2 failed in 1 min 0 s, 10 pairs/min; "
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
    assert (
        "stylizing" in shown and "5/20" in shown and "8 pairs/min, about 1 min 52 s left, 1 failed" in shown
    )


def steps(done: int, total: int = 200, begun: int = 0) -> Any:
    return SimpleNamespace(begun=begun, done=done, total=total)


def test_a_hundred_broken_files_do_not_make_the_rest_look_quick(clock: Callable[[float], None]) -> None:
    file = io.StringIO()
    view = BatchView(Console(file=file, width=40))
    counts = counts_of(failed=100)
    counts.total = 110
    with view.stylizing(counts):
        view.ready()
        clock(16)
        view.refresh()  # nobody knows yet how long a pair takes
        clock(44)
        counts.done = 1
        view.refresh()
    assert file.getvalue().splitlines() == [
        "100 of 110 pairs, 0 pairs/min, 100 failed",
        "101 of 110 pairs, 1 pairs/min, about 9 min 0 s left, 100 failed",
    ]


def test_within_long_pairs_the_evaluations_show_the_progress(clock: Callable[[float], None]) -> None:
    file = io.StringIO()
    view = BatchView(Console(file=file, width=40))
    counts = counts_of()
    counts.total = 3
    with view.stylizing(counts):
        view.ready()
        clock(20)
        view.refresh([steps(0, total=0), steps(50)])
        clock(20)
        view.refresh([steps(50), steps(150, begun=100)])  # the second was gone on with
    assert file.getvalue().splitlines() == [
        "0 of 3 pairs and 0.2 of those in work, 0.75 pairs/min, about 3 min 40 s left",
        "0 of 3 pairs and 1.0 of those in work, 0.75 pairs/min, about 2 min 40 s left",
    ]


def test_the_bar_moves_within_a_pair(clock: Callable[[float], None]) -> None:
    file = io.StringIO()
    view = BatchView(Console(file=file, force_terminal=True, width=120))
    counts = counts_of()
    counts.total = 1
    with view.stylizing(counts):
        view.ready()
        clock(30)
        view.refresh([steps(100)])
    assert "about 30 s left" in file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
