"""Tells the trackers of a sweep of its trials, from the events that its log receives."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from gan.tracking.grids import decoded
from gan.tracking.groups import in_groups, named
from gan.tracking.identity import identity_of
from gan.tracking.named import RunInfo, RunState
from gan.tracking.settings import flat_settings
from gan.tracking.trackers import Trackers, no_grid
from gan.training.health import Verdict
from tune.driver.plan import SweepPlan
from tune.records.events import StateConfirmed, SweepEvent, Tick, TrialEnded, TrialStarted
from tune.records.trial_records import Trial
from tune.search.study import SEED


class SweepTracking:
    """Passes what happens to trials on to the trackers that the sweep's settings name.

    trials: what the event log says so far, by number; it has an event before `note` is called with it.
    say: prints a line.

    Raises: WriteError when the sweep's folder cannot be written.
    """

    def __init__(self, plan: SweepPlan, trials: Mapping[int, Trial], say: Callable[[str], None]) -> None:
        self._plan, self._trials = plan, trials
        self._metric = plan.config.gan.evaluation.key()
        self._varies = plan.config.scheduler == "pbt"
        found = plan.config.tracking.trackers(plan.folder.files)
        self._is_tracked = bool(found)
        self._identity = identity_of(plan.folder.files) if found else ""
        self._trackers = Trackers(found, say)

    def note(self, event: SweepEvent, grid: bytes | None = None) -> None:
        """Pass an event on. grid: content of a picture file, the samples of a tick."""
        if not self._is_tracked:
            return
        if isinstance(event, TrialStarted):
            self._trackers.begin(self._info(self._trials[event.number]))
        elif isinstance(event, Tick):
            self._tick(event, grid)
        elif isinstance(event, StateConfirmed):
            self._confirmed(event)
        elif isinstance(event, TrialEnded):
            trial = self._trials[event.number]
            best = trial.best_tick(self._metric)
            self._end(trial, best.metrics[self._metric] if best else None)

    def close(self) -> None:
        """Wait for the trackers."""
        self._trackers.close()

    def _tick(self, tick: Tick, grid: bytes | None) -> None:
        verdict = Verdict(tick.verdict, tick.verdict_evidence or "") if tick.verdict is not None else None
        row = in_groups(tick.metrics, self._metric)
        if self._varies:
            row |= {f"settings/{path}": value for path, value in _numbers(tick.values or {}).items()}
        self._trackers.tick(
            _name(tick.number),
            tick.images_seen,
            row,
            grid=no_grid if grid is None else functools.partial(decoded, grid),
            verdict=verdict,
        )

    def _confirmed(self, again: StateConfirmed) -> None:
        """Add the values to the trial's run, which has ended: it goes on, and ends once more as before."""
        trial = self._trials[again.number]
        values = {again.metric: again.value, f"{again.metric}_noise": again.noise}
        if again.second_metric is not None and again.second is not None:
            values[again.second_metric] = again.second
        saved = [saved.images_seen for saved in trial.checkpoints if saved.path == again.path]
        self._trackers.begin(dataclasses.replace(self._info(trial), images_seen=trial.images_seen))
        self._trackers.tick(
            _name(trial.number),
            saved[-1] if saved else trial.images_seen,
            {f"confirmed/{name}": value for name, value in values.items()},
        )
        self._end(trial, None)  # it was told its best when it ended

    def _end(self, trial: Trial, best: float | None) -> None:
        self._trackers.end(_name(trial.number), _run_state(trial), trial.reason or "", best)

    def _info(self, trial: Trial) -> RunInfo:
        values, space = trial.values, self._plan.space
        saved = trial.last_checkpoint()
        return RunInfo(
            folder=self._plan.folder.files,
            name=_name(trial.number),
            identity=f"{self._identity}-{trial.number}",
            sweep=self._plan.folder.name,
            settings=flat_settings(self._plan.config.gan.with_searched(values)),
            searched={path: values.get(path) for path in (*space, SEED) if path in space or path in values},
            objective=named(self._metric, self._metric),
            images_seen=saved.images_seen if saved is not None else 0,
        )


def _run_state(trial: Trial) -> RunState:
    """How trackers call the state of a trial that has ended or was interrupted."""
    if trial.state == "pruned" and trial.ended_for is not None:
        return "stopped"
    if trial.own_fault:
        return "diverged"
    return "interrupted" if trial.state == "running" else trial.state


def _name(number: int) -> str:
    return f"trial_{number:04d}"


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {path: value for path, value in values.items() if type(value) in (int, float)}
