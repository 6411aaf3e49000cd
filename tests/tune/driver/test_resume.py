"""How finished sweeps take more trials, also where they were moved; names that a killed start leaves free."""

import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import optuna
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.tune.driver.test_trouble import ONE_GROUP, TICK, start, sweep_command, trials_of
from tests.tune.sweeps import RATE
from tests.waiting import HANGS_AFTER_S, wait_for
from tune.__main__ import main
from tune.records.trial_records import Trial

pytestmark = [pytest.mark.usefixtures("shared_ray", "cache")]


@dataclasses.dataclass(frozen=True)
class Finished:
    """A sweep of two trials, written in `origin` after a driver there was killed while it started."""

    folder: Path
    """Where it is now."""
    origin: Path
    had_begun: bool
    """Whether the killed driver left a sweep."""
    code: int


@pytest.fixture(scope="module")
def finished(shared_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Read-only."""
    root = tmp_path_factory.mktemp("finished")
    folder = root / "here" / "sweep"
    command = [*sweep_command(root / "here", trials=2, images=4 * TICK), *ONE_GROUP, "--tensorboard"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        driver = start(command)
        wait_for(lambda: (folder / "events.jsonl").exists())
        os.kill(driver.pid, signal.SIGKILL)
        driver.communicate(timeout=HANGS_AFTER_S)
        had_begun = (folder / "sweep.json").exists()
        code = main(command)
    (root / "here").rename(root / "kept")
    return Finished(root / "kept" / "sweep", root / "here", had_begun, code)


@pytest.fixture(scope="module", params=[False, True])
def resumed(
    request: pytest.FixtureRequest, finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The sweep under another name in another place, with one more trial; also as old versions wrote it."""
    root = tmp_path_factory.mktemp("there")
    moved = root / "renamed sweep"
    shutil.copytree(finished.folder, moved)
    settings = moved / "sweep.json"
    record = json.loads(settings.read_text())
    assert record["study_name"] == "sweep"
    if request.param:
        del record["study_name"]
        settings.write_text(json.dumps(record))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        assert main(["resume", str(moved), "--trials", "+1"]) == 0
    return moved


def swd_by_images(trial: Trial) -> list[tuple[int, float]]:
    return [(tick.images_seen, tick.metrics["swd"]) for tick in trial.valid_ticks()]


def test_a_driver_that_is_killed_while_it_starts_leaves_its_name_free(finished: Finished) -> None:
    assert not finished.had_begun
    assert finished.code == 0
    assert [trial.state for trial in trials_of(finished.folder).values()] == ["completed"] * 2


def test_a_sweep_that_was_moved_and_renamed_resumes(finished: Finished, resumed: Path) -> None:
    assert [trial.state for trial in trials_of(resumed).values()] == ["completed"] * 3
    assert not finished.origin.exists()
    for name in ("sweep.json", "events.jsonl", "best/trial.json"):
        for place in (finished.origin, finished.folder):
            assert str(place) not in (resumed / name).read_text()
    assert json.loads((resumed / "sweep.json").read_text())["study_name"] == "sweep"


def test_a_finished_sweep_takes_more_trials_and_keeps_the_earlier_ones(
    finished: Finished, resumed: Path
) -> None:
    before, after = trials_of(finished.folder), trials_of(resumed)
    assert list(after) == [0, 1, 2]
    for number, trial in before.items():
        assert after[number].trial_id == trial.trial_id
        assert swd_by_images(after[number]) == swd_by_images(trial)
    assert len({trial.values[RATE] for trial in after.values()}) == 3
    sessions = json.loads((resumed / "sweep.json").read_text())["sessions"]
    assert len(sessions) == 2


def test_tensorboard_has_the_ticks_of_all_trials_also_of_the_new_one(resumed: Path) -> None:
    trials = trials_of(resumed)
    assert {each.name for each in (resumed / "tensorboard").iterdir() if each.is_dir()} == {
        f"trial_{number:04d}" for number in trials
    }
    for number, trial in trials.items():
        events = EventAccumulator(str(resumed / "tensorboard" / f"trial_{number:04d}"))
        events.Reload()
        shown = [(each.step, each.value) for each in events.Scalars("objective/swd")]
        assert [step for step, _ in shown] == [images for images, _ in swd_by_images(trial)]
        assert [value for _, value in shown] == pytest.approx([swd for _, swd in swd_by_images(trial)])
        assert len(events.Scalars("objective/best")) == 1
        for again in trial.confirmed.values():
            shown_again = [each.value for each in events.Scalars(f"confirmed/{again.metric}")]
            assert pytest.approx(again.value) in shown_again


def test_a_study_at_a_relative_path_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    command = [*sweep_command("runs", trials=1, images=2 * TICK), *ONE_GROUP]
    assert main([*command, "--study", "sqlite:///my.db"]) == 0
    monkeypatch.chdir(tmp_path / "other")
    assert main(["resume", str(tmp_path / "one" / "runs" / "sweep"), "--trials", "2"]) == 0
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path}/one/my.db")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    assert list((tmp_path / "other").iterdir()) == []
