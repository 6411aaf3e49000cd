"""RAY: the searcher through which Tune gets trials from a sweep's study and reports their results to it."""

import math
from collections.abc import Callable, Collection
from typing import Any, cast

from ray.tune.search import Searcher

from common.errors import ConfigError
from tune.records.trial_records import TUNE_MODE, Ending, end_of
from tune.search.study import TRIAL_ID_ATTR, SweepStudy, study_outcome
from tune.trial_keys import METRICS_KEY, NOMINAL_KEY, NUMBER_KEY, RESTORE_KEY, VERDICT_KEY


class OptunaSearcher(Searcher):  # type: ignore[misc]  # ray is untyped here
    """Proposes the trials of a study, unfinished ones of a resumed sweep first, and reports their results.

    A suggestion is flat: settings by dotted path, the trial's `number`, and `restore`, the path of a
    checkpoint, when the trial continues from one.

    Args:
        max_running: called whenever a trial is asked for; how many trials may run at the same time.
        diverged: ids of the trials that had diverged at the tick that is reported. Their value is not told:
            the distance of garbage may be small.
    """

    def __init__(
        self,
        study: SweepStudy,
        *,
        metric: str,
        max_running: Callable[[], float] = lambda: math.inf,
        diverged: Collection[str] = (),
    ) -> None:
        super().__init__(metric=metric, mode=TUNE_MODE)
        self.interrupted = False
        """Set when the sweep is stopped from outside: trials that end then stay RUNNING, for a resume."""
        self._study, self._max_running, self._diverged = study, max_running, diverged
        self._running: set[str] = set()
        self._is_exhausted = False
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial; None while none can begin; or FINISHED, when all have ended.

        Not as soon as the last has begun: Tune would then stop the actor of each trial that copies another,
        and start a new one for it.
        """
        if len(self._running) >= self._max_running():
            return None
        extra: dict[str, Any] = {}
        if self._study.returning:
            returning = self._study.returning.pop(0)
            number, values = returning.number, dict(returning.values)
            checkpoint = returning.last_checkpoint()
            extra = {RESTORE_KEY: checkpoint.path} if checkpoint is not None else {}
        else:
            asked = None if self._is_exhausted else self._study.ask()
            if asked is None:
                self._is_exhausted = True
                # a string that Tune compares with
                return None if self._running else cast(dict[str, Any], Searcher.FINISHED)
            number, values = asked
        self._numbers[trial_id] = number
        self._running.add(trial_id)
        self._study.annotate(number, TRIAL_ID_ATTR, trial_id)
        return {**values, NUMBER_KEY: number, **extra}

    def number_of(self, trial_id: str) -> int | None:
        """The number of the trial with this id of Tune's, None for an unknown one."""
        return self._numbers.get(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report the objective of a tick; values that a retried trial repeats are ignored."""
        number = self._numbers.get(trial_id)
        if number is not None and NOMINAL_KEY in result and not self._study.is_finished(number):
            self._study.report(number, result[NOMINAL_KEY], self._value(trial_id, result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study how the trial ended, unless the sweep was interrupted."""
        self._running.discard(trial_id)
        number = self._numbers.get(trial_id)
        if self.interrupted or number is None:
            return
        result = result or {}
        self.on_trial_result(trial_id, result)  # Tune does not pass on the result that made it stop a trial
        self._study.annotate_artifacts(number, dict(result.get(METRICS_KEY, ())))
        ending, found = end_of(result), result.get(VERDICT_KEY)
        if found is not None:
            self._study.annotate_verdict(number, (found.name, found.evidence), ending.verdict)
        if error and ending.state != "failed":
            ending = Ending("failed", reason="failed more often than allowed")
        self._study.tell(number, study_outcome(ending, self._value(trial_id, result)))

    def _value(self, trial_id: str, result: dict[str, Any]) -> Any:
        return None if trial_id in self._diverged else result.get(self.metric)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study is already on disk, and nothing of a sweep is pickled."""

    def restore(self, checkpoint_path: str) -> None:
        """Refuse: a sweep is resumed from its study and its event log."""
        raise ConfigError("Tune does not restore a sweep; use python -m tune resume")

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its Tuner with everything in it; open files and locks cannot be pickled
        return {"_metric": self._metric, "_mode": self._mode}
