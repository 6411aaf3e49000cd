"""Trackers run beside a training: a slow one delays nothing, one that fails is dropped with one line."""

import threading
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError
from gan.tracking import trackers as module
from gan.tracking.named import RunInfo, Tracker
from tests.gan.tracking.conftest import COLLAPSE, GRID, row, run_info, trackers


class Recorder:
    """A tracker that notes what it is told, and raises at the ticks that it is given."""

    def __init__(self, *bad_ticks: int) -> None:
        self.told: list[Any] = []
        self._bad_ticks = bad_ticks

    def begin(self, info: RunInfo) -> "Recorder":
        self.told.append(("begin", info.name))
        return self

    def tick(self, images_seen: int, row: Any, *, grid: Any, verdict: Any) -> None:
        if images_seen in self._bad_ticks:
            raise OSError("the server is\ngone")
        self.told.append((images_seen, row["objective/fd"], grid is not None, verdict and verdict.name))

    def end(self, state: str, reason: str, best: float | None) -> None:
        self.told.append((state, reason, best))

    def tracker(self) -> Tracker:
        return Tracker(begin=self.begin)


def test_every_tracker_is_told_of_everything_in_order(tmp_path: Path, said: list[str]) -> None:
    one, other = Recorder(), Recorder()
    both = trackers(said, one=one.tracker(), other=other.tracker())
    both.begin(run_info(tmp_path))
    both.tick("trial_0000", 1000, row(3.0), grid=lambda: GRID, verdict=COLLAPSE)
    both.tick("trial_0000", 2000, row(2.0))
    both.end("trial_0000", "pruned", "too slow", 2.0)
    both.close()
    told = [
        ("begin", "trial_0000"),
        (1000, 3.0, True, "mode_collapse"),
        (2000, 2.0, False, None),
        ("pruned", "too slow", 2.0),
    ]
    assert one.told == other.told == told
    assert not said


def test_a_tracker_that_raises_is_dropped_with_one_line_and_the_others_go_on(
    tmp_path: Path, said: list[str]
) -> None:
    good, bad = Recorder(), Recorder(2000)
    both = trackers(said, good=good.tracker(), bad=bad.tracker())
    both.begin(run_info(tmp_path))
    for images_seen in (1000, 2000, 3000, 4000):
        both.tick("trial_0000", images_seen, row(1.0))
    both.end("trial_0000", "completed", "", 1.0)
    both.close()
    assert said == ["--bad is switched off, training goes on without it: OSError: gone"]
    assert len(good.told) == 6
    assert len(bad.told) == 2


def test_a_trial_that_begins_again_was_interrupted(tmp_path: Path, said: list[str]) -> None:
    recorder = Recorder()
    one = trackers(said, one=recorder.tracker())
    one.begin(run_info(tmp_path))
    one.begin(run_info(tmp_path, images_seen=1000))
    one.close()
    assert recorder.told == [("begin", "trial_0000"), ("interrupted", "", None), ("begin", "trial_0000")]


def test_a_tracker_that_hangs_delays_neither_the_training_nor_its_end(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    let_go = threading.Event()

    class Hanging(Recorder):
        def tick(self, images_seen: int, row: Any, *, grid: Any, verdict: Any) -> None:
            let_go.wait(60)

    lagging = trackers(said, slow=Hanging().tracker())
    lagging.begin(run_info(tmp_path))
    for images_seen in range(10):
        lagging.tick("trial_0000", images_seen, row(1.0))
    lagging.close(silence_s=0.1)
    hanging = trackers(said, slow=Hanging().tracker())
    hanging.begin(run_info(tmp_path))
    hanging.tick("trial_0000", 1, row(1.0))
    hanging.close(silence_s=0.1)
    let_go.set()
    assert said == [
        "--slow is switched off, training goes on without it: it is 3 events behind",
        "--slow has not received everything in time; the rest is lost",
    ]


def test_a_missing_package_is_one_line_with_the_extra_that_has_it() -> None:
    tracker = Tracker(begin=Recorder().begin, package="no_such_package", extra="wandb")
    with pytest.raises(
        ConfigError,
        match=r"--wandb needs the package no_such_package, which is not "
        r"installed; run pip install 'artsweep\[wandb\]'$",
    ):
        tracker.check_package("--wandb")


def test_a_folder_named_like_a_package_is_not_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no_such_package").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="not installed"):
        Tracker(begin=Recorder().begin, package="no_such_package").check_package("--mine")
