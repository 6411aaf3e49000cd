"""Statistics of the training steps, kept on the device until someone must read them."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from gan.training.balance import Measured

NAMES = ("discriminator_loss", "accuracy_real", "accuracy_fake", "generator_loss")


class StepStats:
    """The statistics of the last step, and their sums since `start_tick`, all on the device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sums = torch.zeros(0)
        self.last: Tensor | None = None
        self._on_host: Tensor | None = None
        self._ready: Any = None

    def start_tick(self) -> None:
        """Set the sums to 0; the last step's statistics stay."""
        self._sums = torch.zeros(len(NAMES), dtype=torch.float64, device=self._device)

    def means(self, steps: int, *, generator_steps: int) -> dict[str, float]:
        """Means since `start_tick` by name, over `steps` steps; the generator trained in `generator_steps`.

        The generator's loss is the mean over the steps in which it trained; without any, the last known.
        """
        means = dict(zip(NAMES, (self._sums / steps).tolist(), strict=True))
        if generator_steps:
            means["generator_loss"] *= steps / generator_steps
        else:
            means["generator_loss"] = (self.read() or [0.0])[-1]
        return means

    def state(self) -> list[float] | None:
        """The last step's statistics, for a checkpoint."""
        return self.read()

    def load_state(self, last: list[float] | None) -> None:
        """Continue from what `state` returned."""
        self._on_host, self._ready = None, None
        self.last = None if last is None else torch.tensor(last, device=self._device)

    def add(self, stats: Tensor, *, generator_trained: bool) -> None:
        """Add a step's statistics; on a GPU also starts their copy to the host."""
        self._sums += stats
        if not generator_trained and self.last is not None:
            stats = torch.cat([stats[:3], self.last[3:]])
        self.last = stats
        if stats.device.type == "cuda":
            self._on_host = torch.empty(len(NAMES), pin_memory=True)
            self._on_host.copy_(stats, non_blocking=True)
            self._ready = torch.cuda.Event()
            self._ready.record()

    def read(self) -> list[float] | None:
        """The last step's statistics; waits until that step is done. None before the first step."""
        if self._on_host is not None:
            self._ready.synchronize()
            return list(self._on_host.tolist())
        return None if self.last is None else list(self.last.tolist())

    def measured(self) -> Measured | None:
        """The part of the last step's statistics that a balance policy reads."""
        values = self.read()
        if values is None:
            return None
        return Measured(discriminator_loss=values[0], accuracy_real=values[1], accuracy_fake=values[2])


@dataclasses.dataclass(frozen=True, eq=False)
class StepProgress:
    """What a step did; reading a loss or an accuracy waits for the device."""

    step: int
    images_seen: int
    total_images: int
    images_per_s: float
    """Over all ranks, since the tick began."""
    stats: Tensor
    """(4,) on the device; see `gan.training.step.train_step`."""

    @property
    def discriminator_loss(self) -> float:
        """Mean over the global batch, without penalty."""
        return float(self.stats[0])

    @property
    def accuracy_real(self) -> float:
        """Share of real images called real, 0 to 1."""
        return float(self.stats[1])

    @property
    def accuracy_fake(self) -> float:
        """Share of generated images called generated, 0 to 1."""
        return float(self.stats[2])

    @property
    def generator_loss(self) -> float:
        """Mean over the global batch; the last known when the generator rested."""
        return float(self.stats[3])
