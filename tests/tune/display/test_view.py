"""What a sweep says in a terminal and elsewhere."""

import dataclasses
import io
import time

from rich.console import Console

from tests.tune.sweeps import RATE, rates
from tune.display.estimate import Schedule
from tune.display.view import SweepView
from tune.records.events import CheckpointSaved, StateConfirmed, SweepEvent, Tick, TrialEnded, TrialStarted
from tune.records.trial_records import Trial, collect


def tick(number: int, images: int, swd: float) -> Tick:
    metrics = {"swd": swd, "swd_noise": 5.0}
    return Tick(number=number, trial_id=f"t{number}", images_seen=images, metrics=metrics)


def trials(*events: SweepEvent) -> dict[int, Trial]:
    starts = [TrialStarted(number=number, trial_id=f"t{number}", values={RATE: 1e-4}) for number in range(3)]
    return collect([*starts, *events])


def shown(known: dict[int, Trial], *, refresh: bool = False) -> str:
    out = io.StringIO()
    view = SweepView(Console(file=out, width=100), rates(), "swd", num_trials=4)
    with view.live():
        if refresh:
            view.refresh(known)
            view.refresh(known)
    view.finish(known, total_images=640)
    return out.getvalue()


def test_without_a_terminal_each_trial_that_ends_is_reported_once_with_its_best_and_its_reason() -> None:
    known = trials(
        tick(0, 64, 9.0),
        tick(0, 128, 7.0),
        TrialEnded(number=0, state="completed"),
        TrialEnded(number=1, state="failed", reason="a loss is nan"),
    )
    lines = shown(known, refresh=True).splitlines()
    assert lines.count("trial 0 completed swd 7") == 1
    assert lines.count("trial 1 failed: a loss is nan") == 1
    assert not any(line.startswith("trial 2") for line in lines)


def test_the_summary_counts_states_and_names_the_noise_floor() -> None:
    known = trials(tick(0, 64, 9.0), TrialEnded(number=0, state="pruned"), tick(1, 32, 8.0))
    last = shown(known).splitlines()[-1]
    assert last.startswith("3 of 4 trials: 1 pruned, 2 running; ")
    assert "noise floor of swd (real against real) 5" in last and "left" not in last


def test_without_a_terminal_a_line_a_minute_reports_progress_if_something_was_trained() -> None:
    out, now_s = io.StringIO(), 0.0
    view = SweepView(Console(file=out, width=100), rates(), "swd", num_trials=4, clock=lambda: now_s)
    known = trials(tick(0, 64, 9.0))

    def said_at(seconds: float) -> list[str]:
        nonlocal now_s
        now_s = seconds
        out.seek(0)
        out.truncate()
        view.refresh(known)
        return out.getvalue().splitlines()

    with view.live():
        assert said_at(0.0) == said_at(59.0) == []
        known = trials(tick(0, 64, 9.0), tick(0, 1264, 7.0), tick(1, 64, 8.0))
        (line,) = said_at(61.0)
        assert line.startswith("3 of 4 trials: 3 running; 1 min 1 s, 21 images/s; ")
        assert line.endswith("; best swd 7 of trial 0")
        assert said_at(90.0) == said_at(130.0) == []
        known = trials(tick(0, 1264, 7.0), tick(1, 64, 8.0), tick(2, 1264, 6.0))
        (line,) = said_at(190.0)
        assert line.endswith("; best swd 6 of trial 2")


def test_the_speed_at_the_end_is_that_of_the_training_alone() -> None:
    out, now_s = io.StringIO(), 0.0
    view = SweepView(Console(file=out, width=200), rates(), "swd", num_trials=1, clock=lambda: now_s)
    with view.live():
        began = time.time() + 10  # Tune takes a while
        view.refresh(trials())
        now_s = 60.0
    now_s = 100.0  # the best states were measured again
    start = TrialStarted(number=0, trial_id="t0", time=began)
    view.finish(collect([start, tick(0, 1000, 9.0)]), total_images=1000)
    assert "; 50 s, 20 images/s" in out.getvalue()


def test_the_end_names_what_the_best_states_were_measured_at_again() -> None:
    known = trials(
        tick(0, 64, 9.0),
        CheckpointSaved(number=0, images_seen=64, path="a", value=9.0),
        tick(1, 64, 8.0),
        CheckpointSaved(number=1, images_seen=64, path="b", value=8.0),
        StateConfirmed(number=0, path="a", metric="swd", value=8.5, noise=5.25),
        StateConfirmed(number=1, path="b", metric="swd", value=8.75, noise=5.25),
    )
    last = shown(known).splitlines()[-1]
    expected = "swd: 8.5 of trial 0 (base settings), 8.75 of trial 1; noise floor 5.25"
    assert last == f"measured again on fresh samples, {expected}"


def test_two_states_of_one_trial_are_told_apart_by_their_images() -> None:
    known = trials(
        tick(0, 64, 9.0),
        CheckpointSaved(number=0, images_seen=64, path="a", value=9.0),
        tick(0, 1264, 9.5),
        CheckpointSaved(number=0, images_seen=1264, path="b", value=9.5),
        StateConfirmed(number=0, path="a", metric="swd", value=8.5, noise=5.25),
        StateConfirmed(number=0, path="b", metric="swd", value=8.75, noise=5.25),
    )
    last = shown(known).splitlines()[-1]
    base = "of trial 0 (base settings) at"
    assert f"swd: 8.5 {base} 64 images, 8.75 {base} 1,264 images; " in last


def test_a_running_sweep_says_when_it_ends_before_a_trial_has_ended() -> None:
    out = io.StringIO()
    schedule = Schedule(num_trials=4, images_per_tick=64, total_ticks=10)
    console = Console(file=out, width=200, height=30, force_terminal=True, color_system=None)
    view = SweepView(console, rates(), "swd", num_trials=4, schedule=schedule)
    with view.live():
        now = time.time()
        starts = [TrialStarted(number=number, trial_id=f"t{number}", time=now) for number in range(2)]
        ticks = [dataclasses.replace(tick(number, 64, 9.0), time=now + 60) for number in range(2)]
        view.refresh(collect([*starts, *ticks]))
    assert "about 19 min left" in out.getvalue(), "9 ticks of 2 trials, and 10 of 2 more, in two groups"
