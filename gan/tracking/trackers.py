"""Passes what happens to runs to their trackers, each in a thread of its own, and drops one that fails."""

import queue
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from common.errors import ConfigError
from common.text import one_line, type_and_last_line
from gan.tracking.named import RunInfo, RunState, TrackedRun, Tracker

if TYPE_CHECKING:
    import numpy as np

    from gan.training.health import Verdict

MOST_WAITING = 1000
"""Events that wait for a tracker; one that is further behind is switched off."""
SILENCE_S = 30.0
"""How long the end of a run waits for a tracker that has received nothing more."""

Grid = Callable[[], "np.ndarray | None"]
"""Loads a tick's samples, uint8 (H, W, C); None where there are none."""


def no_grid() -> None:
    """For a tick without samples."""


class Trackers:
    """Tells trackers of runs, without waiting for them.

    A tracker that raises, or falls far behind, is switched off with one line, and training goes on: a server
    that does not answer neither ends nor delays it. All methods are called from one thread.

    say: prints a line.
    """

    def __init__(self, trackers: Mapping[str, Tracker], say: Callable[[str], None]) -> None:
        self._lanes = [_Lane(name, tracker) for name, tracker in trackers.items()]
        self._say = say

    def begin(self, info: RunInfo) -> None:
        """A run begins, or goes on; one of the same name that has not ended was interrupted."""
        self._put(lambda lane: lane.begin(info))

    def tick(
        self,
        run: str,
        images_seen: int,
        row: Mapping[str, float],
        *,
        grid: Grid = no_grid,
        verdict: "Verdict | None" = None,
    ) -> None:
        """A run has ended a tick; see `TrackedRun.tick`. The grid is loaded in the tracker's thread."""
        self._put(lambda lane: lane.tick(run, images_seen, row, grid, verdict))

    def end(self, run: str, state: RunState, reason: str = "", best: float | None = None) -> None:
        """A run has ended; see `TrackedRun.end`."""
        self._put(lambda lane: lane.end(run, state, reason, best))

    def close(self, silence_s: float = SILENCE_S) -> None:
        """Wait until the trackers have received everything, or one has received nothing for `silence_s`."""
        for lane in self._lanes:
            lane.put(None)
        for lane in self._lanes:
            lane.wait(silence_s)
        self._report()

    def _put(self, event: "Callable[[_Lane], None]") -> None:
        for lane in self._lanes:
            lane.put(event)
        self._report()

    def _report(self) -> None:
        for lane in self._lanes:
            if lane.problem is not None and not lane.is_reported:
                lane.is_reported = True
                self._say(lane.problem)


class _Lane:
    """One tracker with its thread and the runs that have not ended."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name, self._tracker = name, tracker
        self._runs: dict[str, TrackedRun] = {}
        self._events: queue.Queue[Callable[[_Lane], None] | None] = queue.Queue(MOST_WAITING)
        self.problem: str | None = None
        """Why it was switched off, as one line; None while it works."""
        self.is_reported = False
        self._received = 0
        self._thread = threading.Thread(target=self._work, name=f"track-{name}", daemon=True)
        self._thread.start()

    # --- called by the thread of the run

    def put(self, event: "Callable[[_Lane], None] | None") -> None:
        """Let the tracker's thread do it later; after None it ends."""
        if self.problem is not None:
            return
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self._switch_off(f"it is {MOST_WAITING} events behind")

    def wait(self, silence_s: float) -> None:
        """Wait for the thread's end, as long as it gets on."""
        while self._thread.is_alive() and self.problem is None:
            before = self._received
            self._thread.join(silence_s)
            if self._thread.is_alive() and self._received == before:
                self.problem = f"--{self._name} has not received everything in time; the rest is lost"

    # --- called by its own thread

    def begin(self, info: RunInfo) -> None:
        self.end(info.name, "interrupted", "", None)
        self._runs[info.name] = self._tracker.begin(info)

    def tick(
        self, run: str, images_seen: int, row: Mapping[str, float], grid: Grid, verdict: "Verdict | None"
    ) -> None:
        if run in self._runs:
            self._runs[run].tick(images_seen, row, grid=grid(), verdict=verdict)

    def end(self, run: str, state: RunState, reason: str, best: float | None) -> None:
        if run in self._runs:
            self._runs.pop(run).end(state, reason, best)

    def _work(self) -> None:
        try:
            while self.problem is None and (event := self._events.get()) is not None:
                event(self)
                self._received += 1
        except BaseException as error:  # also what a library raises to end the process
            told = one_line(error) if isinstance(error, ConfigError) else type_and_last_line(error)
            self._switch_off(told)

    def _switch_off(self, reason: str) -> None:
        self.problem = f"--{self._name} is switched off, training goes on without it: {reason}"
