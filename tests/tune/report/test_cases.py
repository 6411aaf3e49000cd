"""The page of sweeps in every state: it is written, draws what there is, and says plainly what is missing."""

import dataclasses
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import fsspec
import pytest

from common.errors import ConfigError
from common.storage.lock import FolderLock
from tests.tune.made_up import BEGIN, METRIC, Made, empty, made_up
from tune.records.events import CheckpointSaved, SweepStarted, Tick, TrialEnded, TrialStarted
from tune.records.grids import grid_name
from tune.report import write_report
from tune.space.domains import Float
from tune.space.space import Space

RATE = "optimizer.generator_lr"


class Texts(HTMLParser):
    """The texts of a page, without scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._skipped = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.found.append(data)


def page_of(made: Made) -> str:
    """The visible text of a sweep's page, blanks joined."""
    return text_of(Path(write_report([made.write()])))


def text_of(file: Path) -> str:
    text = " ".join(" ".join(Texts(file.read_text()).found).split())
    assert "could not be drawn" not in text
    return text


def trial(
    made: Made, number: int, *values: float | None, state: str | None = "completed", **ended: Any
) -> None:
    """Add a trial with these values of the objective, a tick each."""
    now = made.events[-1].time + 1
    settings = {RATE: 1e-4 * (number + 1), "balance.policy": "none"}
    searched = {path: value for path, value in settings.items() if path in made.space}
    made.events.append(TrialStarted(number=number, trial_id=f"t{number}", values=searched, time=now))
    for place, value in enumerate(values, start=1):
        now += 10
        metrics: Any = {METRIC: value, "train_s": 9.0, "evaluate_s": 0.5, f"{METRIC}_noise": 0.01}
        seen = 8000 * place
        made.events.append(
            Tick(number=number, trial_id=f"t{number}", images_seen=seen, metrics=metrics, time=now)
        )
        made.events.append(
            CheckpointSaved(number=number, images_seen=seen, path=f"t{number}/{place}", value=value, time=now)
        )
    if state is not None:
        made.events.append(TrialEnded(number=number, state=state, time=now + 1, **ended))  # type: ignore[arg-type]


def test_a_finished_sweep_names_its_winner_its_gain_and_how_to_continue(tmp_path: Path) -> None:
    made = made_up(tmp_path, trials=14, grids=3)
    text = page_of(made)
    assert "It is finished: 14 trials, from 2026-09-21" in text and "clear gain" in text
    assert f"python -m tune best {made.location} --out best.json" in text
    assert "python -m gan train --config best.json --images 640000" in text
    assert f"python -m tune resume {made.location} --trials +14" in text
    assert "measured again on fresh samples" in text and "times the noise floor of 0.001" in text
    assert "worker groups were busy" in text and "the best 4 of 14 trials" in text
    assert "missing" not in text.replace("missing_modes", "")


def test_a_sweep_without_a_trial_says_so_everywhere(tmp_path: Path) -> None:
    text = page_of(empty(tmp_path))
    assert "No trial has begun yet" in text and "no trial has reported a value" in text
    assert "No tick has ended yet" in text and "0 of 8 trials have begun" in text


def test_a_sweep_that_runs_says_how_far_it_is(tmp_path: Path) -> None:
    made = empty(tmp_path)
    trial(made, 0, 3.0, 2.0)
    trial(made, 1, 2.5, state=None)
    made.events[-2] = dataclasses.replace(made.events[-2], time=time.time() - 90)
    with FolderLock(made.folder.files, who="driver", remedy="wait"):
        text = page_of(made)
    assert re.search(r"It is running: 2 of 8 trials have begun; its last tick ended 1 min \d+ s ago", text)
    assert "The winner so far" in text and f"tune resume {made.location} --trials" not in text
    assert "There are no pictures of it yet" in text


def test_a_killed_sweep_can_be_resumed(tmp_path: Path) -> None:
    made = empty(tmp_path)
    trial(made, 0, 3.0, 2.0)
    trial(made, 1, 2.5, state=None)
    with FolderLock(made.folder.files, who="driver", remedy="wait"):
        holder = made.folder.files.read(".lock.json") or b""
    dead = holder.replace(b'"started": "', b'"started": "0')  # the process of this pid is another one
    made.folder.files.write(".lock.json", dead)
    text = page_of(made)
    assert "It was killed, and can be resumed: 2 of 8 trials have begun, 1 of them unfinished" in text
    assert f"python -m tune resume {made.location}" in text


def test_a_stopped_sweep_says_that_it_was_stopped(tmp_path: Path) -> None:
    made = empty(tmp_path)
    trial(made, 0, 3.0, state="interrupted")
    text = page_of(made)
    assert "It was stopped before its end" in text and "1 interrupted" in text


def test_a_sweep_in_which_all_trials_failed_shows_why(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=3)
    for number in range(3):
        trial(made, number, state="failed", reason="the device is on fire")
    text = page_of(made)
    assert (
        "3 failed" in text
        and "failed: the device is on fire" in Path(made.location, "report.html").read_text()
    )
    assert "3 trials ended before the first tick" in text and "It has not finished a tick" in text
    assert "no trial has reported a value that is a finite number" in text


def test_one_trial_is_no_search_and_the_page_says_what_needs_more(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=1)
    trial(made, 0, 3.0, 2.0)
    text = page_of(made)
    assert "No trial beats the base settings, which reach fd_lite0_1k 2" in text
    assert "This needs 10 trials with a value, and there are 1" in text
    assert "This needs two trials with a value" in text


def test_constant_objectives_separate_nothing(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=12)
    for number in range(12):
        trial(made, number, 2.0, 2.0)
    text = page_of(made)
    assert "All trials have the same value" in text and "No trial beats the base settings" in text


def test_objectives_that_are_not_finite_are_no_values(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=3)
    trial(made, 0, float("nan"), float("nan"))
    trial(made, 1, float("nan"), 2.0, float("inf"))
    trial(made, 2, state="failed", reason="NaN", own_fault=True, verdict="diverged")
    text = page_of(made)
    assert "Trial 1: gain unknown" in text and "the base settings have no value yet" in text
    assert "1 trial ended for diverged" in text
    only_nan = empty(tmp_path, "only-nan", trials=1)
    trial(only_nan, 0, float("nan"))
    assert "No trial has a value yet that is a finite number" in page_of(only_nan)


def test_values_of_zero_and_below_are_drawn_on_a_linear_axis(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=2)
    trial(made, 0, 0.0, 0.1)
    trial(made, 1, -0.01, 0.1)
    text = page_of(made)
    assert "fd_lite0_1k -0.01 against 0 of the base settings" in text


def test_a_conditional_space_leaves_gaps(tmp_path: Path) -> None:
    text = page_of(made_up(tmp_path, trials=14))
    assert "A line that passes below an axis has no such setting" in text
    assert "loss threshold" in text and "accuracy threshold" in text


def test_a_space_without_both_learning_rates_says_so(tmp_path: Path) -> None:
    made = empty(tmp_path, space=Space({RATE: Float(1e-5, 1e-2, log=True)}), trials=2)
    trial(made, 0, 2.0)
    trial(made, 1, 1.0)
    assert "The sweep did not search discriminator lr" in page_of(made)


def test_a_sweep_that_was_resumed_three_times_shows_its_sessions_and_repeated_ticks(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=2)
    trial(made, 0, 3.0, 2.0, state=None)
    for _ in range(3):
        now = made.events[-1].time + 4000
        made.events.append(SweepStarted(resumed=True, trials=2, time=now))
        made.events.append(TrialStarted(number=0, trial_id="again", attempt=1, time=now + 1))
        metrics = {METRIC: 2.1, "train_s": 9.0, "evaluate_s": 0.5}
        made.events.append(
            Tick(number=0, trial_id="again", images_seen=16000, metrics=metrics, time=now + 30)
        )
    text = page_of(made)
    assert "in 4 sessions; dotted lines are where it was resumed" in text and "session 4" in text
    assert "60 % was trained again after losses of workers or driver" in text
    assert "does not say which worker group" in text


def test_a_population_shows_how_settings_changed_within_a_trial(tmp_path: Path) -> None:
    made = empty(tmp_path, trials=2, scheduler="pbt")
    for number in range(2):
        trial(made, number, 3.0, 2.0, 1.0 + number)
        ticks = [event for event in made.events if isinstance(event, Tick) and event.number == number]
        for place, tick in enumerate(ticks):
            values = {RATE: 1e-4 * (place + 1), "balance.policy": "none"}
            made.events[made.events.index(tick)] = dataclasses.replace(tick, values=values)
    text = page_of(made)
    assert "population" in text and "0.0003 at its best; it changed 2 times" in text
    assert "settings, which changed while it trained" in text


def test_pictures_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    made = made_up(tmp_path, trials=4, grids=1)
    made.folder.files.write("best/grid.png", b"\x89PNG no picture")
    made.folder.files.write("best/trial.json", b"[")
    made.folder.files.write(grid_name(2, 8000), b"no picture")
    text = page_of(made)
    assert "clear gain" in text or "no gain" in text or "no clear gain" in text


def test_the_winners_grid_is_shown_only_for_the_trial_that_it_is_of(tmp_path: Path) -> None:
    made = made_up(tmp_path, trials=6, grids=2)
    assert "after 64,000 images, not selected" in page_of(made)
    made.folder.files.write("best/trial.json", b'{"trial": 5, "images_seen": 8000}')
    assert "not selected" not in text_of(Path(write_report([made.location])))


def test_a_page_can_be_written_at_a_url_and_beside_it(tmp_path: Path) -> None:
    try:
        made = made_up("memory://bucket", trials=4)
        where = write_report([made.write()])
        assert where == "memory://bucket/shapes-made-up/report.html"
        file = fsspec.filesystem("memory").cat("/bucket/shapes-made-up/report.html")
        assert file.startswith(b"<!doctype html>")
        assert write_report([made.location], str(tmp_path / "new" / "page.html")) == str(
            tmp_path / "new" / "page.html"
        )
    finally:
        fsspec.filesystem("memory").store.clear()


def test_a_file_that_is_no_report_is_not_overwritten(tmp_path: Path) -> None:
    made = made_up(tmp_path, trials=2)
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    with pytest.raises(ConfigError, match=r"mine\.html is a file that is no report"):
        write_report([made.write()], str(mine))
    mine.unlink()
    assert [write_report([made.location], str(mine)) for _ in range(2)] == [str(mine)] * 2


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no sweep"):
        write_report([str(tmp_path)])


def test_several_sweeps_stand_side_by_side(tmp_path: Path) -> None:
    many, few = made_up(tmp_path, "many", trials=14, seed=1), made_up(tmp_path, "few", trials=6, seed=2)
    where = write_report([many.write(), few.write()])
    assert where == f"{many.location}/comparison.html"
    text = text_of(Path(where))
    assert "2 sweeps side by side" in text and "expected best of" in text and "On 6 trials" in text
    assert text.count("All trials") == 2 and "Dodge et al. 2019" in text


def test_sweeps_of_different_metrics_are_not_compared(tmp_path: Path) -> None:
    one = made_up(tmp_path, "one", trials=3)
    gan = one.config.gan.with_values({"evaluation.metric": "swd"})
    other = empty(tmp_path, "other", gan=gan)
    other.events.append(TrialStarted(number=0, trial_id="t", time=BEGIN))
    text = text_of(Path(write_report([one.write(), other.write()])))
    assert "Sweeps are compared by one metric, and these minimize fd_lite0_1k, swd" in text


def test_neither_pytorch_nor_ray_is_loaded(tmp_path: Path) -> None:
    location = made_up(tmp_path, trials=12).write()
    code = (
        "import sys; from tune.report import write_report; write_report([sys.argv[1]]);"
        "assert not {'torch', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, location], check=True, timeout=200)
