"""Tells trackers of one run, from the events that its workers send."""

import contextlib
import functools
from collections.abc import Iterator, Mapping

from rich.console import Console

from common.cli.progress import say
from gan.config import GanConfig
from gan.raytrain.events import Begun, Ended, RunEvent, RunOutcome, Ticked
from gan.run_folder import RunFolder, best_row, samples_file
from gan.tracking.grids import read_grid
from gan.tracking.groups import in_groups, named
from gan.tracking.identity import identity_of
from gan.tracking.named import RunInfo, RunState, Tracker
from gan.tracking.settings import flat_settings
from gan.tracking.trackers import Trackers

_STATES: Mapping[RunOutcome, RunState] = {
    "finished": "completed",
    "stopped": "stopped",
    "diverged": "diverged",
    "failed": "failed",
}


class RunTracking:
    """Passes the events of one run on to its trackers."""

    def __init__(self, trackers: Trackers, results: RunFolder, config: GanConfig, identity: str) -> None:
        self._trackers, self._results, self._config, self._identity = trackers, results, config, identity
        self._metric = config.evaluation.key()
        self._name = results.folder.location.rpartition("/")[2]
        self._has_ended = False

    def note(self, event: RunEvent) -> None:
        """Pass an event on; steps within a tick are not tracked."""
        if isinstance(event, Begun):
            self._trackers.begin(self._info(event.images_seen))
        elif isinstance(event, Ticked):
            images_seen = int(event.row["images_seen"])
            self._trackers.tick(
                self._name,
                images_seen,
                in_groups(event.row, self._metric),
                grid=functools.partial(read_grid, self._results.folder, samples_file(images_seen)),
                verdict=event.verdict,
            )
        elif isinstance(event, Ended):
            self._end(_STATES[event.outcome], event.reason)

    def close(self) -> None:
        """End a run that was interrupted, and wait for the trackers."""
        if not self._has_ended:
            self._end("interrupted", "")
        self._trackers.close()

    def _end(self, state: RunState, reason: str) -> None:
        history = self._results.history()
        best = best_row(history, self._metric)[self._metric] if history else None
        self._trackers.end(self._name, state, reason, best)
        self._has_ended = True

    def _info(self, images_seen: int) -> RunInfo:
        return RunInfo(
            folder=self._results.folder,
            name=self._name,
            identity=self._identity,
            settings=flat_settings(self._config),
            objective=named(self._metric, self._metric),
            images_seen=images_seen,
        )


@contextlib.contextmanager
def tracked(
    trackers: Mapping[str, Tracker], results: RunFolder, config: GanConfig, console: Console
) -> Iterator[RunTracking | None]:
    """Within the block its events are to be passed on; None without trackers.

    Raises: WriteError when the run's folder cannot be written.
    """
    if not trackers:
        yield None
        return
    identity = identity_of(results.folder)
    run = RunTracking(Trackers(trackers, functools.partial(say, console)), results, config, identity)
    with contextlib.closing(run):
        yield run
