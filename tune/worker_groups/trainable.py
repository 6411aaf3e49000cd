"""RAY: the Trainable that Tune schedules: it holds nothing and asks the pool for ticks."""

from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.tune import Trainable

from common.errors import ConfigError
from common.storage.folder import Folder
from common.text import last_line
from gan.config import GanConfig
from tune.trial_keys import FAILURE_KEY, NUMBER_KEY, NUMBERS_KEY, RESTORE_KEY, STATE_FILE
from tune.worker_groups.messages import TrialFailedError


class GanTrial(Trainable):  # type: ignore[misc]  # ray is untyped here
    """One trial. Its state lives in a gang or in the object store, under the lease of this actor.

    The lease is opened when it is first needed: Tune builds a fresh actor for a trial that it retries, gives
    the trial to another actor that has become free meanwhile, and keeps the fresh one in store. Opening a
    lease there, under the trial's name, would forget the state of the one that trains.
    """

    def setup(
        self, config: dict[str, Any], *, pool: Any, base: dict[str, Any], location: str, ticks_per_save: int
    ) -> None:
        """Become a trial. A checkpoint named by `restore`, below the sweep's `location`, is gone on from."""
        self._pool, self._base, self._location = pool, base, location
        self._ticks_per_save = ticks_per_save
        self._lease: str | None = None
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial without a new actor."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        values = {key: value for key, value in config.items() if key not in (RESTORE_KEY, NUMBER_KEY)}
        self._gan_config = GanConfig.from_dict(self._base).with_values(values)
        self.cleanup()  # reused: Tune gives no other sign that the trial before is over
        self._restore: str | None = config.get(RESTORE_KEY)

    def _open_lease(self) -> str:
        if self._lease is None:
            self._lease = ray.get(self._pool.open.remote(self.trial_id))
            if self._restore is not None:
                ray.get(self._pool.load.remote(self._lease, self._read_state(self._restore)))
        return self._lease

    def _read_state(self, path: str) -> np.ndarray:
        data = Folder(self._location).read(f"{path}/{STATE_FILE}")
        if data is None:
            raise ConfigError(f"{self._location}/{path} is gone, from which the trial was to go on")
        return np.frombuffer(data, dtype=np.uint8)

    def step(self) -> dict[str, Any]:
        """One tick. A trial that fails by its own fault is done, with its reason under `failure`."""
        try:
            numbers = ray.get(self._pool.tick.remote(self._open_lease(), self._gan_config.to_dict()))
        except TrialFailedError as error:  # Ray raises the actor's exception as a subclass of its own type
            return {"done": True, FAILURE_KEY: _reason(error)}
        config, images_seen = self._gan_config, round(numbers["images_seen"])
        is_finished = images_seen >= config.total_images()
        ticks = images_seen // (config.steps_per_tick() * config.batch)
        return {
            NUMBERS_KEY: tuple(numbers.items()),  # Tune keeps statistics of every number that it can see
            config.evaluation.key(): numbers[config.evaluation.key()],
            "images_seen": images_seen,
            "done": is_finished,
            "should_checkpoint": is_finished or ticks % self._ticks_per_save == 0,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the state as one safetensors file; Tune persists the folder."""
        ray.get(self._pool.dump.remote(self._open_lease())).tofile(Path(checkpoint_dir, STATE_FILE))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Hand the saved state to the pool; the next tick starts from it."""
        data = np.fromfile(Path(checkpoint_dir, STATE_FILE), dtype=np.uint8)
        self._restore = None  # the trial has gone on since
        ray.get(self._pool.load.remote(self._open_lease(), data))

    def cleanup(self) -> None:
        """Free the gang without a switch."""
        if self._lease is not None:
            ray.get(self._pool.forget.remote(self._lease))
            self._lease = None


def _reason(error: BaseException) -> str:
    """The actor's own message, without the traceback that Ray wraps around it."""
    cause = getattr(error, "cause", None)
    return last_line(cause if cause is not None else error)
