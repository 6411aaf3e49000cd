"""Images whose arrival in a worker lets memory be short there, as on a GPU that a neighbour has filled."""

import dataclasses
from pathlib import Path

import ray.train
import torch

from gan.config import DataConfig
from gan.data.images import Images
from gan.raytrain.broadcast import ImageBroadcast
from gan.training.run import GanRun


@dataclasses.dataclass(frozen=True)
class ShortOfMemory(ImageBroadcast):
    """On rank 1 memory is short in the tick that follows `images_seen`, `times` times; noted in `scene`."""

    scene: str = ""
    images_seen: int = 0
    times: int = 1

    def load(self, config: DataConfig) -> Images:
        """Plant it, in the worker's process, and return the images."""
        if ray.train.get_context().get_world_rank() == 1:
            self._plant()
        return super().load(config)

    def _plant(self) -> None:
        original = GanRun.tick

        def tick(run: GanRun) -> dict[str, float]:
            before = len(list(Path(self.scene).glob("short-*")))
            if run.images_seen == self.images_seen and before < self.times:
                Path(self.scene, f"short-{before}").touch(exist_ok=False)
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return original(run)

        GanRun.tick = tick  # type: ignore[method-assign]
