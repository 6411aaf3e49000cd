"""The session of one worker: what stays warm from trial to trial, and how it executes a command."""

import time
from typing import Any

import numpy as np
import torch

from gan import checkpoint
from gan.data.images import Images
from gan.training.run import GanRun
from tune.worker_groups.messages import WorkerCommand


class WorkerSession:
    """Keeps images and device of a worker from trial to trial, and the one run that it trains now."""

    def __init__(self, images: Images, device: torch.device, rank: int, world_size: int) -> None:
        self._images = images
        self._device, self._rank, self._world_size = device, rank, world_size
        self._run: GanRun | None = None
        self._last_tick_end: float | None = None
        self._turnover_s: float | None = None

    def execute(self, command: WorkerCommand) -> Any:
        """Execute one command; only rank 0's answer to tick and dump is used."""
        if command.kind == "begin":
            return self._begin(command)
        if command.kind == "tick":
            return self._tick()
        return self._dump()

    def clear(self) -> None:
        """Drop the run, so that a trial that ran out of memory does not keep any."""
        self._run = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _begin(self, command: WorkerCommand) -> None:
        self.clear()  # frees the old run's memory before the new run allocates its own
        self._turnover_s = None
        self._run = GanRun(
            command.config,
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
        metrics = self._run.tick()
        self._last_tick_end = time.monotonic()
        if self._turnover_s is not None:
            # from the last trial's last tick in this worker group to this trial's first step
            metrics["turnover_s"], self._turnover_s = self._turnover_s, None
        return metrics

    def _dump(self) -> np.ndarray | None:
        assert self._run is not None
        state = self._run.state_dict()
        if self._rank != 0:
            return None
        # An array, which Ray shares through the object store without a copy in the pool's process. By value
        # and not by reference: a reference dies with the worker that made it, and a trial may outlive its
        # group.
        return np.frombuffer(checkpoint.to_bytes(state), dtype=np.uint8)
