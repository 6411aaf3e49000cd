"""RAY: the Trainable that Tune schedules: it holds nothing and asks the pool for ticks."""

from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.exceptions
from ray.tune import Trainable

from gan.config import GanConfig
from tune.pool import TrialFailedError

STATE_FILE = "state.safetensors"
# Keys of a trial's configuration that are no settings of the GAN.
RESTORE_KEY = "restore"
NUMBER_KEY = "number"


class GanTrial(Trainable):  # type: ignore[misc]  # ray is untyped here
    """One trial. Its state lives in a gang or in the object store, under the lease of this actor."""

    def setup(self, config: dict[str, Any], *, pool: Any, base: dict[str, Any], ticks_per_save: int = 1) -> None:
        """Open a lease; with a `restore` path in the configuration the trial goes on from that checkpoint."""
        self._pool, self._base, self._ticks_per_save = pool, base, ticks_per_save
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial without a new actor."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        values = {key: value for key, value in config.items() if key not in (RESTORE_KEY, NUMBER_KEY)}
        self._gan_config = GanConfig.from_dict(self._base).with_values(values)
        # the actor's first lease ends with its second trial: Tune gives no other sign
        if getattr(self, "_lease", None) is not None:
            ray.get(self._pool.forget.remote(self._lease))
        self._lease = ray.get(self._pool.open.remote(self.trial_id))
        if config.get(RESTORE_KEY) is not None:
            self.load_checkpoint(config[RESTORE_KEY])

    def step(self) -> dict[str, Any]:
        """One tick. A trial that fails by its own fault is done, with its reason under `failure`."""
        try:
            numbers = ray.get(self._pool.tick.remote(self._lease, self._gan_config.to_dict()))
        except TrialFailedError as error:  # Ray raises the actor's exception as a subclass of its own type
            return {"done": True, "failure": trial_reason(error)}
        ticks = round(numbers["images_seen"] / (self._gan_config.steps_per_tick() * self._gan_config.batch))
        is_finished = ticks >= self._gan_config.total_ticks()
        return {
            **numbers,
            "done": is_finished,
            "should_checkpoint": is_finished or ticks % self._ticks_per_save == 0,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the state as one safetensors file; Tune persists the folder."""
        [reference] = ray.get(self._pool.dump.remote(self._lease))
        Path(checkpoint_dir, STATE_FILE).write_bytes(memoryview(ray.get(reference)))

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Hand the saved state to the pool; the next tick starts from it."""
        data = np.fromfile(Path(checkpoint_dir, STATE_FILE), dtype=np.uint8)
        ray.get(self._pool.load.remote(self._lease, [ray.put(data, _owner=self._pool)]))

    def cleanup(self) -> None:
        """Free the gang without a switch."""
        ray.get(self._pool.forget.remote(self._lease))


def trial_reason(error: BaseException) -> str:
    """The actor's own message, without the traceback that Ray wraps around it."""
    cause = getattr(error, "cause", None)
    return str(cause if cause is not None else error).strip().splitlines()[-1]
