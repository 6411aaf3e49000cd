"""The small grids of a running sweep's best trials: written as their ticks end, removed with their rank."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from common.storage.folder import Folder
from tune.records.grids import grid_name, grid_places, kept_numbers, trial_folder
from tune.records.trial_records import Trial

MOST_WAITING = 64
"""Grids of one trial that wait in memory; of more, the one is dropped that leaves the smallest gap."""


class GridStore:
    """Writes the grids of the best trials, and removes those of ended ones that are no longer among them.

    The grids of a running trial that is not among the best wait in memory: should it become one, they are
    written, from its first tick on. A running trial that was among the best keeps its files until it ends.
    Files are written in a thread, since an object store may take longer for them than a tick.

    Args:
        trials: what the event log says of each trial, by number; it changes as the sweep runs.
        metric: key of the objective in a tick.
        most: trials whose grids are kept at the end; 0 for none.
        candidates: trials of which each may still become the sweep's winner at its end, whose grids are kept
            until then.
    """

    def __init__(
        self, folder: Folder, trials: Mapping[int, Trial], metric: str, most: int, candidates: int = 0
    ) -> None:
        self._folder, self._trials, self._metric, self._most = folder, trials, metric, most
        self._most_until_end = max(most, candidates) if most > 0 else 0
        self._best: dict[int, float] = {}
        for number in trials if most > 0 else ():
            self._note(number)
        self._waiting: dict[int, dict[int, bytes]] = {}
        self._stored = set(grid_places(folder)) if most > 0 else set()
        """Trials with files, also of earlier sessions."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="grids")
        self._jobs: list[Future[None]] = []

    def add(self, number: int, images_seen: int, grid: bytes) -> None:
        """Take the grid of a trial's tick, which `trials` has already."""
        if self._most == 0:
            return
        self._note(number)
        waiting = self._waiting.setdefault(number, {})
        waiting[images_seen] = grid
        if len(waiting) > MOST_WAITING:
            places = sorted(waiting)
            gaps = zip(places, places[1:-1], places[2:], strict=False)
            del waiting[min(gaps, key=lambda gap: gap[2] - gap[0])[1]]

    def _note(self, number: int) -> None:
        best = self._trials[number].best_tick(self._metric)
        if best is not None:
            self._best[number] = best.metrics[self._metric]

    def write(self) -> None:
        """Begin to write and remove what is due.

        Raises: WriteError when an earlier write has failed.
        """
        self._raise_failures()
        kept = kept_numbers(self._best, self._most_until_end)
        self._write(kept, written=kept)

    def _unfinished(self) -> set[int]:
        return {number for number, trial in self._trials.items() if trial.is_unfinished()}

    def _write(self, kept: set[int], written: set[int]) -> None:
        unfinished = self._unfinished()
        for number in sorted(written & set(self._waiting)):
            for images_seen, grid in sorted(self._waiting.pop(number).items()):
                name = grid_name(number, images_seen)
                self._jobs.append(self._thread.submit(self._folder.write, name, grid))
            self._stored.add(number)
        for number in set(self._waiting) - unfinished:
            del self._waiting[number]
        for number in sorted(self._stored - kept - unfinished):
            self._jobs.append(self._thread.submit(self._folder.remove_folder, trial_folder(number)))
            self._stored.discard(number)

    def _raise_failures(self) -> None:
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            if job.done():
                job.result()
            else:
                self._jobs.append(job)

    def finish(self, winner: int | None = None) -> None:
        """Write and remove all that is due, and wait for it.

        Trials that a resumed sweep continues may become one of the best: their grids are written, too.

        winner: the trial with the best state where that is decided, whose grids are kept whatever its rank
        by the search's own values.

        Raises: WriteError when something could not be written.
        """
        self._raise_failures()
        is_decided = winner is not None and self._most > 0
        most = self._most if is_decided else self._most_until_end
        kept = kept_numbers(self._best, most) | ({winner} if winner is not None and is_decided else set())
        self._write(kept, written=kept | self._unfinished())
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.result()

    def abandon(self) -> None:
        """Write nothing more: another driver has taken over the sweep."""
        self._thread.shutdown(wait=False, cancel_futures=True)
