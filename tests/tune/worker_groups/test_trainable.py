"""The trial's state while Tune creates, reuses and discards the trial's actors."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.tune.result import TRIAL_INFO

from tests.tune.sweeps import tiny_gan
from tune.trial_keys import GROUP_KEY, STATE_FILE
from tune.worker_groups import trainable
from tune.worker_groups.messages import TickAnswer
from tune.worker_groups.pool import Pool
from tune.worker_groups.trainable import GanTrial

pytestmark = pytest.mark.usefixtures("shared_ray")

ROOT = Path(__file__).parents[3]
ONE_TICK = """
import sys
from types import SimpleNamespace
import ray
from ray.tune.result import TRIAL_INFO
from gan.config import GanConfig
from tune.worker_groups.messages import TickAnswer
from tune.worker_groups.trainable import GanTrial

ray.get = lambda value: value
measured = TickAnswer({"images_seen": 8000.0, "swd": 2.5})
pool = SimpleNamespace(
    open=SimpleNamespace(remote=lambda trial, config: "run"),
    tick=SimpleNamespace(remote=lambda run: measured),
)

class Bound(GanTrial):
    def setup(self, config):
        settings = {"base": GanConfig(images_per_tick=8000), "objective": "swd", "ticks_per_save": 1}
        super().setup(config, pool=pool, location="", **settings)

row = Bound(config={TRIAL_INFO: SimpleNamespace(trial_id="a")}).step()
print(row["swd"], row["done"], "torch" in sys.modules)
"""


@pytest.fixture
def pool() -> Any:
    return ray.remote(Pool).options(num_cpus=0).remote(["worker-group-0"])


def trial_of(pool: Any, trial_id: str, *, location: Path | str = "", **config: str) -> GanTrial:
    """An actor for a trial, as Tune makes one, but in this process."""

    class Bound(GanTrial):
        def setup(self, config: dict[str, Any]) -> None:
            settings = {"base": tiny_gan(), "objective": "swd", "ticks_per_save": 1}
            super().setup(config, pool=pool, location=str(location), **settings)

    return Bound(config={TRIAL_INFO: SimpleNamespace(trial_id=trial_id), **config})


def test_a_trials_process_loads_no_pytorch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ONE_TICK], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.split() == ["2.5", "False", "False"]


def test_a_result_says_which_worker_group_trained_the_tick_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainable.ray, "get", lambda value: value)
    place = {GROUP_KEY: "worker-group-1", "node": "of it"}
    answer = TickAnswer({"images_seen": 64.0, "swd": 2.5}, place=place)
    pool = SimpleNamespace(
        open=SimpleNamespace(remote=lambda trial, config: "run"),
        tick=SimpleNamespace(remote=lambda run: answer),
    )
    result = trial_of(pool, "a").step()
    assert {key: result[key] for key in place} == place


def folder_with(state: bytes, folder: Path) -> str:
    folder.mkdir()
    (folder / STATE_FILE).write_bytes(state)
    return str(folder)


def saved_by(trial: GanTrial, folder: Path) -> bytes:
    folder.mkdir()
    trial.save_checkpoint(str(folder))
    return (folder / STATE_FILE).read_bytes()


def test_a_spare_actor_that_tune_builds_for_a_trial_does_not_forget_its_state(
    tmp_path: Path, pool: Any
) -> None:
    trial = trial_of(pool, "a")
    trial.load_checkpoint(folder_with(b"state", tmp_path / "before"))
    spare = trial_of(pool, "a")
    assert saved_by(trial, tmp_path / "after") == b"state"
    spare.cleanup()
    assert saved_by(trial, tmp_path / "later") == b"state"


def test_an_actor_that_becomes_another_trial_leaves_the_first_one_behind(tmp_path: Path, pool: Any) -> None:
    trial = trial_of(pool, "a")
    trial.load_checkpoint(folder_with(b"first", tmp_path / "before"))
    assert trial.reset({TRIAL_INFO: SimpleNamespace(trial_id="b")})
    other = trial_of(pool, "a")
    other.load_checkpoint(folder_with(b"elsewhere", tmp_path / "elsewhere"))
    trial.load_checkpoint(folder_with(b"second", tmp_path / "next"))
    assert saved_by(trial, tmp_path / "after") == b"second"
    assert saved_by(other, tmp_path / "other") == b"elsewhere"


def test_the_state_that_a_trial_continues_from_is_read_from_the_sweeps_folder(
    tmp_path: Path, pool: Any
) -> None:
    folder_with(b"kept", tmp_path / "checkpoint")
    trial = trial_of(pool, "a", location=tmp_path, restore="checkpoint")
    assert saved_by(trial, tmp_path / "after") == b"kept"


def test_a_later_checkpoint_replaces_the_one_that_a_trial_continued_from(tmp_path: Path, pool: Any) -> None:
    folder_with(b"old", tmp_path / "checkpoint")
    trial = trial_of(pool, "a", location=tmp_path, restore="checkpoint")
    trial.load_checkpoint(folder_with(b"new", tmp_path / "later"))
    assert saved_by(trial, tmp_path / "after") == b"new"
