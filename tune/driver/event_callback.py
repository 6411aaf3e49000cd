"""RAY: the Tune callback that writes the event log and runs the sweep's other parts between Tune's steps."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from ray.tune import Callback

from common.storage.atomic import WriteError
from common.throttle import Throttle
from tune.driver.running import RunningSweep
from tune.records.events import CheckpointSaved, SweepEvent, Tick, TrialEnded, TrialStarted
from tune.records.trial_records import apply, end_of
from tune.search.study import SEED
from tune.trial_keys import FAILURE_KEY, GRID_KEY, GROUP_KEY, METRICS_KEY, NODE_KEY, VERDICT_KEY
from tune.worker_groups.messages import WorkerGroupLostError

SECONDS_BETWEEN_CHANGES = 5.0
_SHARE_OF_TIME = 0.05  # a long log takes an object store longer, and is written there less often


class EventCallback(Callback):  # type: ignore[misc]  # ray is untyped here
    """Writes what happens to Tune's trials into the event log, and runs the other parts between steps."""

    def __init__(self, sweep: RunningSweep) -> None:
        self._sweep = sweep
        self._running: set[int] = set()
        self._throttle = Throttle(SECONDS_BETWEEN_CHANGES, _SHARE_OF_TIME)
        self._has_changed = False
        self.broken: WriteError | None = None
        """Why nothing more can be written: Tune wraps errors of some callbacks so that they are lost."""

    # --- called by Tune

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        number = self._number(trial)
        if number in self._running:  # a paused member of a population continues
            return
        self._running.add(number)
        known = self._sweep.trials.get(number)
        attempt = 0 if known is None else known.attempt + 1
        self._write(
            TrialStarted(
                number=number, trial_id=trial.trial_id, attempt=attempt, values=self._values(trial.config)
            )
        )

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        grid = result.pop(GRID_KEY, None)  # before Tune keeps the result
        if FAILURE_KEY in result:
            return
        found = result.get(VERDICT_KEY)
        self._write(
            Tick(
                number=self._number(trial),
                trial_id=trial.trial_id,
                images_seen=int(result["images_seen"]),
                metrics=dict(result[METRICS_KEY]),
                values=self._values(trial.config),
                verdict=found.name if found is not None else None,
                verdict_evidence=found.evidence if found is not None else None,
                worker_group=result.get(GROUP_KEY),
                node=result.get(NODE_KEY),
            ),
            grid,
        )
        if grid is not None:
            self._sweep.artifacts.grids.add(self._number(trial), int(result["images_seen"]), grid)

    def on_checkpoint(
        self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any
    ) -> None:
        plan, number = self._sweep.plan, self._number(trial)
        self._write(
            CheckpointSaved(
                number=number,
                images_seen=int(trial.last_result["images_seen"]),
                path=plan.folder.relative(checkpoint.path),
                value=trial.last_result.get(plan.config.gan.evaluation.key()),
            )
        )
        self._sweep.artifacts.note_saved(number)
        # Tune counts a trial's failures over its whole life, in which nodes come and go
        trial.run_metadata.num_failures = 0

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        ending = end_of(trial.last_result or {})
        self._end(trial, TrialEnded(number=self._number(trial), **dataclasses.asdict(ending)))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._running.discard(self._number(trial))  # its next start is a new attempt

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        reason = _error_line(trial)
        self._end(trial, TrialEnded(number=self._number(trial), state="failed", reason=reason))

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._sweep.between_steps()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self.broken is not None:
            raise self.broken
        self._sweep.between_steps()
        if self._has_changed and self._throttle.is_due():
            self._has_changed = False
            with self._throttle.timed():
                self._sweep.artifacts.write(trials)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its Tuner with all callbacks; an open log cannot be pickled

    # --- called at the end of the sweep

    def interrupt_the_running(self) -> None:
        """Record that the running trials continue when the sweep is resumed."""
        for trial in list(self._sweep.trials.values()):
            if trial.state == "running":
                self._write(TrialEnded(number=trial.number, state="interrupted", trial_id=trial.trial_id))

    def _end(self, trial: Any, event: TrialEnded) -> None:
        self._running.discard(event.number)
        self._write(dataclasses.replace(event, trial_id=trial.trial_id))
        _free_memory(trial)

    def _write(self, event: SweepEvent, grid: bytes | None = None) -> None:
        try:
            self._sweep.log.record(event)
        except WriteError as error:
            self.broken = error
            raise
        apply(self._sweep.trials, event)
        self._sweep.tracking.note(event, grid)
        self._has_changed = True

    def _number(self, trial: Any) -> int:
        number = self._sweep.searcher.number_of(trial.trial_id)
        assert number is not None, "Tune runs a trial that the searcher did not propose"
        return number

    def _values(self, config: dict[str, Any]) -> dict[str, Any]:
        # the seed is set where a sampler proposed the same settings again
        return {path: config[path] for path in (*self._sweep.plan.space, SEED) if path in config}


def _free_memory(trial: Any) -> None:
    """Empty what Tune 2.60 keeps of an ended trial and nobody reads: most of the memory that it leaves."""
    trial.metric_analysis.clear()
    trial.metric_n_steps.clear()
    trial.run_metadata.checkpoint_manager.best_checkpoint_results.clear()  # the last is kept apart
    trial._default_result_or_future = None  # for which Ray would keep the actor's first answer


def _error_line(trial: Any) -> str:
    # The file has all errors of the trial, each a traceback with the message last. Not `get_error`: it looks
    # for the file beside Tune's own state of the experiment, which is not written.
    text = ""
    if trial.error_file is not None:
        with contextlib.suppress(OSError):
            text = Path(trial.error_file).read_text(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() not in ("", "None")]
    # a traceback names its exception with the module
    return lines[-1].removeprefix(f"{WorkerGroupLostError.__module__}.") if lines else "its actor died"
