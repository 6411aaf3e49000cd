"""RAY: the Trainable that Tune schedules: it asks the pool for ticks and holds no state itself."""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import ray
from ray.tune import Trainable

from common.errors import ConfigError
from common.storage.folder import Folder
from common.text import last_line
from gan.config import GanConfig
from gan.training.health import of_divergence
from tune.trial_keys import (
    COMPLETE_KEY,
    FAILURE_KEY,
    GRID_KEY,
    METRICS_KEY,
    NOMINAL_KEY,
    NUMBER_KEY,
    RESTORE_KEY,
    STATE_FILE,
    VERDICT_KEY,
)
from tune.worker_groups.messages import StoredState, TickAnswer, TrialDivergedError, TrialFailedError


class GanTrial(Trainable):  # type: ignore[misc]  # ray is untyped here
    """One trial. Its state is in a worker group or in the pool, under the run id of this actor.

    The run is opened when it is first needed: Tune builds a fresh actor for a trial that it retries, gives
    the trial to another actor that has become free meanwhile, and keeps the fresh one in reserve. Opening a
    run there, under the trial's name, would forget the state of the one that trains.
    """

    def setup(
        self,
        config: dict[str, Any],
        *,
        pool: Any,
        base: GanConfig,
        objective: str,
        location: str,
        ticks_per_save: int,
    ) -> None:
        """Become a trial, which continues from the checkpoint `restore`, if there is one.

        base: the settings that are not searched. objective: the key of their metric in a tick; asked for it
        here, they would load PyTorch, which no trial's process needs. location: the sweep's folder.
        """
        self._pool, self._base, self._objective, self._location = pool, base, objective, location
        self._folder = Folder(location) if location else None
        self._ticks_per_save = ticks_per_save
        self._grid: bytes | None = None
        self._run_id: str | None = None
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial without a new actor."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        values = {key: value for key, value in config.items() if key not in (RESTORE_KEY, NUMBER_KEY)}
        self._gan_config = self._base.with_searched(values)
        self.cleanup()  # of the trial before: Tune gives no other sign that it is over
        self._restore: str | None = config.get(RESTORE_KEY)

    def _open_run(self) -> str:
        if self._run_id is None:
            self._run_id = ray.get(self._pool.open.remote(self.trial_id, self._gan_config))
            if self._restore is not None:
                self._load(f"{self._restore}/{STATE_FILE}")
        return self._run_id

    def _load(self, name: str) -> None:
        """Let the run continue from a state in the sweep's folder, which its workers read themselves."""
        if self._folder is None or self._folder.status(name) is None:
            raise ConfigError(f"{self._location}/{name}, from which the trial was to continue, is missing")
        ray.get(self._pool.load.remote(self._run_id, StoredState(self._location, name)))

    def step(self) -> dict[str, Any]:
        """Train one tick. A trial that fails by its own fault is done, with its reason under `failure`."""
        try:
            answer: TickAnswer = ray.get(self._pool.tick.remote(self._open_run()))
        except TrialFailedError as error:  # Ray raises the actor's exception as a subclass of its own type
            reason = _reason(error)
            diverged = {VERDICT_KEY: of_divergence(reason)} if isinstance(error, TrialDivergedError) else {}
            return {"done": True, FAILURE_KEY: reason, **diverged}
        metrics, self._grid = answer.metrics, answer.grid
        config, images_seen = self._gan_config, round(metrics["images_seen"])
        ticks = images_seen // config.images_per_tick
        # not total_images(): it depends on the batch, which population based training may change
        is_complete = ticks >= config.total_ticks()
        return {
            METRICS_KEY: tuple(metrics.items()),  # Tune keeps statistics of every number that it can see
            self._objective: metrics[self._objective],
            "images_seen": images_seen,
            **answer.place,
            NOMINAL_KEY: config.nominal_images(images_seen),
            COMPLETE_KEY: is_complete,
            "done": is_complete,
            "should_checkpoint": is_complete or ticks % self._ticks_per_save == 0,
        }

    def train(self) -> dict[str, Any]:
        """Train one tick; the grid is added last, since Tune writes `step`'s result into each checkpoint."""
        result, grid = super().train(), self._grid
        self._grid = None
        return result if grid is None else {**result, GRID_KEY: grid}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Have the state written as one safetensors file where Tune is going to persist this folder.

        The worker of rank 0 writes it. A state that no worker group has loaded is in the pool, and is written
        here, into the folder that Tune persists.
        """
        state = ray.get(self._pool.dump.remote(self._open_run(), self._next_checkpoint()))
        path = Path(checkpoint_dir, STATE_FILE)
        if isinstance(state, StoredState):
            assert self._folder is not None
            path.write_bytes(self._folder.read(state.name) or b"")
        elif state is not None:
            state.tofile(path)

    def _next_checkpoint(self) -> StoredState | None:
        """Where Tune 2.60 puts the contents of the next checkpoint's folder; None outside of Tune."""
        storage = self._storage
        if storage is None or self._folder is None:
            return None
        name = storage._make_checkpoint_dir_name(storage.current_checkpoint_index + 1)
        relative = PurePosixPath(storage.trial_fs_path, name).relative_to(self._folder.filesystem_path)
        return StoredState(self._location, f"{relative}/{STATE_FILE}")

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Give the saved state to the pool; the next tick starts from it."""
        path = Path(checkpoint_dir, STATE_FILE)
        self._restore = None  # this state is newer
        run_id = self._open_run()
        if self._location and path.is_relative_to(self._location):
            self._load(path.relative_to(self._location).as_posix())
        else:  # Tune has downloaded it
            ray.get(self._pool.load.remote(run_id, np.fromfile(path, dtype=np.uint8)))

    def cleanup(self) -> None:
        """Drop the run, so that its worker group can take another one without saving it."""
        if self._run_id is not None:
            ray.get(self._pool.forget.remote(self._run_id))
            self._run_id = None


def _reason(error: BaseException) -> str:
    """The actor's own message, without the traceback that Ray wraps around it."""
    cause = getattr(error, "cause", None)
    return last_line(cause if cause is not None else error)
