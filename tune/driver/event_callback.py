"""RAY: the Tune callback that writes down what happens in a sweep, and stops it when it must stop."""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback

from common.storage.atomic import WriteError
from common.throttle import Throttle
from tune.records.events import CheckpointSaved, Event, EventLog, Tick, TrialEnded, TrialStarted
from tune.records.trial_records import Trial, apply
from tune.search.searcher import OptunaSearcher
from tune.space.space import Space
from tune.trial_keys import FAILURE_KEY, NUMBERS_KEY

SECONDS_BETWEEN_CHANGES = 5.0
_SHARE_OF_TIME = 0.05  # a long log takes an object store longer, and is written there less often


class Recorder(Callback):  # type: ignore[misc]  # ray is untyped here
    """Keeps the event log and the trials it describes up to date.

    Args:
        trials: what the event log says so far, by number; changed in place.
        relative: makes the path of a checkpoint relative to the sweep's folder.
        on_save: called with the number of a trial whose state was saved.
        on_change: called with Tune's trials now and then when something has happened, at most every
            `SECONDS_BETWEEN_CHANGES` and seldom enough to take little of the time.
        on_step: called after every step of Tune, several times a second; what it raises ends the sweep.
    """

    def __init__(
        self,
        log: EventLog,
        trials: dict[int, Trial],
        searcher: OptunaSearcher,
        space: Space,
        *,
        relative: Callable[[str], str],
        metric: str,
        images_of: Callable[[dict[str, Any]], int],
        on_save: Callable[[int], None],
        on_change: Callable[[list[Any]], None],
        on_step: Callable[[], None],
    ) -> None:
        self._log, self.trials, self._searcher, self._space = log, trials, searcher, space
        self._relative, self._metric, self._images_of = relative, metric, images_of
        self._on_save, self._on_change, self._on_step = on_save, on_change, on_step
        self._running: set[int] = set()
        self._throttle = Throttle(SECONDS_BETWEEN_CHANGES, _SHARE_OF_TIME)
        self._has_changed = False
        self.broken: WriteError | None = None
        """Why nothing more can be written: Tune wraps what some of its callbacks raise beyond recognition."""

    # --- what Tune tells

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        number = self._number(trial)
        if number in self._running:  # a paused member of a population goes on
            return
        self._running.add(number)
        known = self.trials.get(number)
        attempt = 0 if known is None else known.attempt + 1
        self._write(
            TrialStarted(
                number=number, trial_id=trial.trial_id, attempt=attempt, values=self._values(trial.config)
            )
        )

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if FAILURE_KEY in result:
            return
        self._write(
            Tick(
                number=self._number(trial),
                trial_id=trial.trial_id,
                images_seen=int(result["images_seen"]),
                numbers=dict(result[NUMBERS_KEY]),
                values=self._values(trial.config),
            )
        )

    def on_checkpoint(
        self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any
    ) -> None:
        self._write(
            CheckpointSaved(
                number=self._number(trial),
                images_seen=int(trial.last_result["images_seen"]),
                path=self._relative(checkpoint.path),
                value=trial.last_result.get(self._metric),
            )
        )
        self._on_save(self._number(trial))
        # Tune counts a trial's failures over its whole life, in which machines come and go
        trial.run_metadata.num_failures = 0

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        result = trial.last_result or {}
        if FAILURE_KEY in result:
            self._end(
                trial, TrialEnded(number=self._number(trial), state="failed", reason=result[FAILURE_KEY])
            )
            return
        is_complete = result.get("images_seen", 0) >= self._images_of(self._values(trial.config))
        self._end(
            trial, TrialEnded(number=self._number(trial), state="completed" if is_complete else "pruned")
        )

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._running.discard(self._number(trial))  # its next start is a new attempt

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        reason = _error_line(trial)
        self._end(trial, TrialEnded(number=self._number(trial), state="failed", reason=reason))

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._on_step()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self.broken is not None:
            raise self.broken
        self._on_step()
        if self._has_changed and self._throttle.is_due():
            self._has_changed = False
            with self._throttle.timed():
                self._on_change(trials)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its Tuner with all callbacks; an open log has no place there

    # --- what is written

    def interrupt_the_running(self) -> None:
        """Note that what still runs goes on when the sweep is resumed."""
        for trial in list(self.trials.values()):
            if trial.state == "running":
                self._write(TrialEnded(number=trial.number, state="interrupted", trial_id=trial.trial_id))

    def _end(self, trial: Any, event: TrialEnded) -> None:
        self._running.discard(event.number)
        self._write(dataclasses.replace(event, trial_id=trial.trial_id))
        _forget_what_nobody_reads(trial)

    def _write(self, event: Event) -> None:
        try:
            self._log.record(event)
        except WriteError as error:
            self.broken = error
            raise
        apply(self.trials, event)
        self._has_changed = True

    def _number(self, trial: Any) -> int:
        number = self._searcher.number_of(trial.trial_id)
        assert number is not None, "Tune runs a trial that the searcher did not propose"
        return number

    def _values(self, config: dict[str, Any]) -> dict[str, Any]:
        return {path: config[path] for path in self._space if path in config}


def _forget_what_nobody_reads(trial: Any) -> None:
    """Empty what Tune 2.60 keeps of a trial for good: most of what each would leave in memory."""
    trial.metric_analysis.clear()
    trial.metric_n_steps.clear()
    trial.run_metadata.checkpoint_manager.best_checkpoint_results.clear()  # the last is kept apart
    trial._default_result_or_future = None  # for which Ray would keep the actor's first answer


def _error_line(trial: Any) -> str:
    # All its errors, each a traceback with the message last. `get_error` would look for the file where Tune
    # puts it with its own state of the experiment, which is not written.
    text = ""
    if trial.error_file is not None:
        with contextlib.suppress(OSError):
            text = Path(trial.error_file).read_text(errors="replace")
    said = [line.strip() for line in text.splitlines() if line.strip() not in ("", "None")]
    return said[-1].removeprefix("tune.worker_groups.messages.") if said else "its actor died"
