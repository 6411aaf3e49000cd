"""Where a trial's state is written: where Tune looks for it, by the worker that has it, or by the trial."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray.train._internal.storage import StorageContext
from ray.tune.result import TRIAL_INFO

from common.errors import ConfigError
from common.storage.folder import Folder
from gan.data.loading import load_images
from tests.tune.sweeps import tiny_gan
from tune.trial_keys import STATE_FILE
from tune.worker_groups.messages import StoredState, WorkerCommand
from tune.worker_groups.session import WorkerSession
from tune.worker_groups.trainable import GanTrial


class FakePool:
    """Answers at once; `loaded` says whether a worker group has the run, and would write its state."""

    def __init__(self, *, loaded: bool) -> None:
        self.loaded = loaded
        self.state: Any = None
        self.open = SimpleNamespace(remote=lambda owner, config: "run")
        self.load = SimpleNamespace(remote=self._load)
        self.dump = SimpleNamespace(remote=self._dump)
        self.forget = SimpleNamespace(remote=lambda run_id: None)

    def _load(self, run_id: str, state: Any) -> None:
        self.state = state

    def _dump(self, run_id: str, target: StoredState | None) -> Any:
        if not self.loaded or target is None:
            return self.state
        Folder(target.folder).write(target.name, b"by the worker")
        return None


def trial_of(pool: FakePool, storage: Path, monkeypatch: pytest.MonkeyPatch, **config: str) -> GanTrial:
    monkeypatch.setattr(ray, "get", lambda value: value)
    # of Ray's session, which there is none of
    session = property(lambda context: str(storage / "working"))
    monkeypatch.setattr(StorageContext, "trial_working_directory", session)

    class Bound(GanTrial):
        def setup(self, config: dict[str, Any]) -> None:
            location = str(storage / "sweep")
            settings = {"base": tiny_gan(), "objective": "swd", "ticks_per_save": 1}
            super().setup(config, pool=pool, location=location, **settings)

    context = StorageContext(
        storage_path=str(storage), experiment_dir_name="sweep", trial_dir_name="trial_0000"
    )
    return Bound(config={TRIAL_INFO: SimpleNamespace(trial_id="a"), **config}, storage=context)


def test_the_worker_writes_the_state_where_tune_looks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = trial_of(FakePool(loaded=True), tmp_path, monkeypatch)
    places = [Path(trial.save().checkpoint.path) for _ in range(3)]
    assert len(set(places)) == 3
    for place in places:
        assert place.parent == tmp_path / "sweep" / "trial_0000"
        assert [(file.name, file.read_bytes()) for file in place.iterdir()] == [
            (STATE_FILE, b"by the worker")
        ]


def test_a_state_that_no_worker_has_is_written_by_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = FakePool(loaded=False)
    trial = trial_of(pool, tmp_path, monkeypatch)
    pool.state = np.frombuffer(b"from the pool", dtype=np.uint8)
    first = Path(trial.save().checkpoint.path, STATE_FILE)
    assert first.read_bytes() == b"from the pool"
    name = first.relative_to(tmp_path / "sweep").as_posix()
    pool.state = StoredState(str(tmp_path / "sweep"), name)
    second = Path(trial.save().checkpoint.path, STATE_FILE)
    assert second != first and second.read_bytes() == b"from the pool"


def test_a_trial_continues_from_the_file_itself_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = FakePool(loaded=True)
    trial = trial_of(pool, tmp_path, monkeypatch)
    result = trial.save()
    trial.restore(result)
    name = Path(result.checkpoint.path, STATE_FILE).relative_to(tmp_path / "sweep").as_posix()
    assert pool.state == StoredState(str(tmp_path / "sweep"), name)


def test_a_state_that_a_worker_wrote_continues_as_if_it_had_never_been_written(
    tmp_path: Path, cache: None
) -> None:
    config = tiny_gan()
    images = load_images(config.data)

    def session() -> WorkerSession:
        return WorkerSession(images, torch.device("cpu"), rank=0, world_size=1)

    def swd(worker: WorkerSession) -> float:
        return float(worker.execute(WorkerCommand("tick")).metrics["swd"])

    stored = StoredState(str(tmp_path), "x/state.safetensors")
    first = session()
    first.execute(WorkerCommand("begin", config=config))
    swd(first)
    assert first.execute(WorkerCommand("save", target=stored)) is None, "nothing passes through the pool"
    by_value = first.execute(WorkerCommand("dump"))
    expected = swd(first)
    for state in (stored, by_value):
        other = session()
        other.execute(WorkerCommand("begin", config=config, state=state))
        assert swd(other) == expected


def test_a_missing_state_is_said_in_one_line(tmp_path: Path, cache: None) -> None:
    config = tiny_gan()
    worker = WorkerSession(load_images(config.data), torch.device("cpu"), rank=0, world_size=1)
    with pytest.raises(
        ConfigError, match=r"x\.safetensors, from which the trial was to continue, is missing"
    ):
        worker.execute(
            WorkerCommand("begin", config=config, state=StoredState(str(tmp_path), "x.safetensors"))
        )
