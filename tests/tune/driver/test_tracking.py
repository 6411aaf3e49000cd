"""What the trackers of a sweep are told of its trials; no Ray."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan.tracking.config import TrackingConfig
from gan.tracking.named import Tracker, tensorboard
from tests.recorder import Recorder
from tests.tune.sweeps import RATE, rates, tiny_gan
from tune.config import SweepConfig
from tune.driver.plan import SweepPlan
from tune.driver.tracking import SweepTracking
from tune.records.events import (
    CheckpointSaved,
    StateConfirmed,
    SweepEvent,
    Tick,
    TrialEnded,
    TrialStarted,
)
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial, apply


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Takes the place of TensorBoard."""
    recorder = Recorder()
    monkeypatch.setattr(tensorboard, "TRACKER", Tracker(begin=recorder.begin))
    return recorder


def track(folder: Path, *events: SweepEvent, grid: bytes | None = None, **settings: Any) -> None:
    config = SweepConfig(
        gan=tiny_gan(),
        name="sweep",
        storage=str(folder),
        tracking=TrackingConfig.of(["tensorboard"]),
        **settings,
    )
    plan = SweepPlan(config=config, space=rates(), folder=SweepFolder(config.storage, "sweep"))
    trials: dict[int, Trial] = {}
    tracking = SweepTracking(plan, trials, print)
    for event in events:
        apply(trials, event)
        tracking.note(event, grid if isinstance(event, Tick) else None)
    tracking.close()


def started(**values: Any) -> TrialStarted:
    return TrialStarted(number=3, trial_id="a", values={RATE: 1e-4} | values)


def tick(images_seen: int, value: float, **further: Any) -> Tick:
    return Tick(number=3, trial_id="a", images_seen=images_seen, metrics={"swd": value}, **further)


def test_a_trial_has_its_settings_ticks_grid_verdict_and_end(tmp_path: Path, recorder: Recorder) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (9, 9, 9)).save(buffer, format="WEBP", lossless=True)
    track(
        tmp_path,
        started(seed=7),
        tick(64, 5.0, verdict="healthy", verdict_evidence="fine"),
        tick(128, 6.0, verdict="mode_collapse", verdict_evidence="recall 0.1"),
        TrialEnded(number=3, state="pruned", reason="mode_collapse: recall 0.1", verdict="mode_collapse"),
        grid=buffer.getvalue(),
    )
    (info,) = recorder.begun
    assert (info.name, info.sweep, info.objective, info.images_seen) == (
        "trial_0003",
        "sweep",
        "objective/swd",
        0,
    )
    assert info.settings[RATE] == 1e-4 and info.settings["seed"] == 7
    assert info.searched == {RATE: 1e-4, "seed": 7}
    first, second, end = recorder.told
    assert first[:2] == (64, {"objective/swd": 5.0}) and first[3] == "healthy"
    assert np.array_equal(first[2], np.full((4, 4, 3), 9, np.uint8))
    assert second[3] == "mode_collapse"
    assert end == ("stopped", "mode_collapse: recall 0.1", 5.0)


def test_a_trial_that_lost_its_workers_goes_on_from_its_last_state(
    tmp_path: Path, recorder: Recorder
) -> None:
    track(
        tmp_path,
        started(),
        tick(64, 5.0),
        CheckpointSaved(number=3, images_seen=64, path="x", value=5.0),
        tick(128, 4.0),
        started(),
        tick(128, 4.5),
        TrialEnded(
            number=3, state="failed", reason="a loss is not finite", own_fault=True, verdict="diverged"
        ),
    )
    assert [info.images_seen for info in recorder.begun] == [0, 64]
    assert recorder.begun[0].identity == recorder.begun[1].identity
    assert ("interrupted", "", None) in recorder.told
    assert recorder.told[-1] == ("diverged", "a loss is not finite", 4.5)


def test_settings_that_change_within_a_trial_are_curves(tmp_path: Path, recorder: Recorder) -> None:
    track(tmp_path, started(), tick(64, 5.0, values={RATE: 3e-4}), scheduler="pbt")
    (told,) = recorder.told[:1]
    assert told[1] == {"objective/swd": 5.0, f"settings/{RATE}": 3e-4}


def test_values_that_were_measured_again_reach_the_run_of_a_trial_that_has_ended(
    tmp_path: Path, recorder: Recorder
) -> None:
    track(
        tmp_path,
        started(),
        tick(64, 5.0),
        CheckpointSaved(number=3, images_seen=64, path="c", value=5.0),
        tick(128, 6.0),
        TrialEnded(number=3, state="pruned", reason="mode_collapse: recall 0.1", verdict="mode_collapse"),
        StateConfirmed(
            number=3,
            path="c",
            metric="swd",
            value=5.5,
            noise=0.2,
            second=9.0,
            second_metric="fd_lite0_60",
            second_noise=1.0,
        ),
    )
    end = ("stopped", "mode_collapse: recall 0.1")
    assert recorder.told[-3:] == [
        (*end, 5.0),
        (64, {"confirmed/swd": 5.5, "confirmed/swd_noise": 0.2, "confirmed/fd_lite0_60": 9.0}, None, None),
        (*end, None),
    ]
    first, again = recorder.begun
    assert first.identity == again.identity
    assert again.images_seen == 128, "no tick is repeated"
