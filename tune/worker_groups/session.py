"""What stays warm in a worker of a gang from trial to trial, and how it obeys a command; nothing of Ray."""

import time
from typing import Any

import numpy as np
import torch

from gan import checkpoint
from gan.config import GanConfig
from gan.data.images import Images
from gan.training.run import GanRun
from tune.worker_groups.messages import Command


class Workbench:
    """What stays warm in a worker from trial to trial, and the one run that is on it."""

    def __init__(self, images: Images, device: torch.device, rank: int, world_size: int) -> None:
        self._images = images
        self._device, self._rank, self._world_size = device, rank, world_size
        self._run: GanRun | None = None
        self._last_tick_end: float | None = None
        self._turnover_s: float | None = None

    def obey(self, command: Command) -> Any:
        """Carry out one command; only rank 0's answer to tick and dump is used."""
        if command.kind == "begin":
            return self._begin(command)
        if command.kind == "tick":
            return self._tick()
        return self._dump()

    def clear(self) -> None:
        """Drop the run, so that a trial that failed for want of memory leaves none taken."""
        self._run = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _begin(self, command: Command) -> None:
        self.clear()  # the old run's memory is free before the new run takes its own
        self._turnover_s = None
        self._run = GanRun(
            GanConfig.from_dict(command.config or {}),
            self._images,
            device=self._device,
            rank=self._rank,
            world_size=self._world_size,
        )
        if command.state is not None:
            self._run.load_state_dict(checkpoint.from_bytes(command.state.tobytes()))
        if self._last_tick_end is not None:
            self._turnover_s = time.monotonic() - self._last_tick_end

    def _tick(self) -> dict[str, float]:
        assert self._run is not None
        numbers = self._run.tick()
        self._last_tick_end = time.monotonic()
        if self._turnover_s is not None:
            # from the last trial's last tick in this gang to this trial's first step
            numbers["turnover_s"], self._turnover_s = self._turnover_s, None
        return numbers

    def _dump(self) -> np.ndarray | None:
        assert self._run is not None
        state = self._run.state_dict()
        if self._rank != 0:
            return None
        # An array, which Ray shares through the object store without a copy on the pool's side. By value and
        # not by reference: a reference dies with the worker that made it, and a trial may outlive its gang.
        return np.frombuffer(checkpoint.to_bytes(state), dtype=np.uint8)
