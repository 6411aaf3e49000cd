"""The session of one worker: what stays warm from trial to trial, and how it executes a command."""

import contextlib
import functools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from common.errors import ConfigError
from common.memory import is_out_of_memory, release
from common.storage.folder import Folder
from gan import checkpoint
from gan.checkpoint import RunState
from gan.config import GanConfig
from gan.data.images import Images
from gan.image_grid import SMALL_IMAGES, small_grid
from gan.training.run import Diverged, GanRun
from tune.worker_groups.messages import StoredState, TickAnswer, WorkerCommand


class WorkerSession:
    """Keeps images and device of a worker from trial to trial, and the one run that it trains now.

    place: what a tick's answer says of where it was trained. makes_grids: whether each tick is answered with
    a small grid of samples.
    """

    def __init__(
        self,
        images: Images,
        device: torch.device,
        rank: int,
        world_size: int,
        place: Mapping[str, Any] | None = None,
        *,
        makes_grids: bool = False,
    ) -> None:
        self._images, self._place = images, dict(place or {})
        self._device, self._rank, self._world_size = device, rank, world_size
        self._makes_grids = makes_grids
        # a copy on the host takes milliseconds; where memory is short on a CPU, it would not help
        self.keeps_state = device.type == "cuda" and world_size == 1
        self._run: GanRun | None = None
        self._last_tick_end: float | None = None
        self._turnover_s: float | None = None

    def execute(self, command: WorkerCommand) -> Any:
        """Execute one command; only rank 0's answer is used."""
        if command.kind == "begin":
            return self._begin(command)
        if command.kind == "tick":
            return self._tick()
        if command.kind == "confirm":
            assert self._run is not None
            return self._run.confirm()
        if command.kind == "save":
            return self._save(command.target)
        return self._dump()

    def clear(self, error: BaseException | None = None) -> None:
        """Drop the run and what a caught error holds, so that a trial that ran out of memory keeps none."""
        self._run = None
        if error is not None:
            release(error)
        elif self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _begin(self, command: WorkerCommand) -> None:
        self.clear()  # frees the old run's memory before the new run allocates its own
        self._turnover_s = None
        state = None if command.state is None else checkpoint.from_bytes(_bytes_of(command.state))
        try:
            self._open(command.config, state)
        except Exception as error:
            if not self._is_worth_a_retry(error):
                raise
            self.clear(error)
        if self._run is None:
            self._open(command.config, state)
        if self._last_tick_end is not None:
            self._turnover_s = time.monotonic() - self._last_tick_end

    def _open(self, config: GanConfig, state: RunState | None) -> None:
        run = GanRun(config, self._images, device=self._device, rank=self._rank, world_size=self._world_size)
        if state is not None:
            run.load_state_dict(state)
        self._run = run

    def _trained(self) -> TickAnswer:
        """A tick's numbers and grid. After a lack of memory it is repeated once, from the state before it.

        A neighbour on the same GPU may have taken the memory for a moment, and the failed attempt gives back
        what its own allocator had scattered.
        """
        assert self._run is not None
        before = self._run.state_dict() if self.keeps_state else None
        config = self._run.config
        try:
            return self._tick_of(self._run)
        except Exception as error:
            if before is None or not self._is_worth_a_retry(error):
                raise
            self.clear(error)
        self._open(config, before)
        return self._tick_of(self._run)

    def _tick_of(self, run: GanRun) -> TickAnswer:
        metrics, grid = run.tick(), None
        if self._makes_grids:
            # The tick has said that the run goes on: its grid does not say otherwise. All ranks sample, since
            # they agree on whether the images are finite.
            with contextlib.suppress(Diverged):
                samples = run.samples(SMALL_IMAGES, "grid")
                grid = small_grid(samples) if self._rank == 0 else None
        return TickAnswer(metrics, self._place, grid)

    def _is_worth_a_retry(self, error: BaseException) -> bool:
        """Whether memory was short, and no other rank waits for this one in a collective."""
        return self._world_size == 1 and is_out_of_memory(error)

    def _tick(self) -> TickAnswer:
        assert self._run is not None
        answer = self._trained()
        self._last_tick_end = time.monotonic()
        if self._turnover_s is not None:
            # from the last trial's last tick in this worker group to this trial's first step
            answer.metrics["turnover_s"], self._turnover_s = self._turnover_s, None
        return answer

    def _save(self, target: StoredState | None) -> None:
        assert self._run is not None and target is not None
        state = self._run.state_dict()
        if self._rank == 0:
            _folder(target.folder).write(target.name, checkpoint.to_bytes(state))

    def _dump(self) -> np.ndarray | None:
        assert self._run is not None
        state = self._run.state_dict()
        if self._rank != 0:
            return None
        # An array, which Ray shares through the object store without a copy in the pool's process. By value
        # and not by reference: a reference dies with the worker that made it, and a trial may outlive its
        # group.
        return np.frombuffer(checkpoint.to_bytes(state), dtype=np.uint8)


@functools.cache  # opening a bucket asks the network for its region
def _folder(location: str) -> Folder:
    return Folder(location)


def _bytes_of(state: "np.ndarray | StoredState") -> bytes:
    if not isinstance(state, StoredState):
        return state.tobytes()
    data = _folder(state.folder).read(state.name)
    if data is None:
        raise ConfigError(f"{state.folder}/{state.name}, from which the trial was to continue, is missing")
    return data
