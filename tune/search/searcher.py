"""RAY: the searcher through which Tune asks a sweep's study for trials and tells it the truth about them."""

import math
from collections.abc import Callable
from typing import Any, cast

from ray.tune.search import Searcher

from common.errors import ConfigError
from gan.config import GanConfig
from tune.search.study import TRIAL_ID_ATTR, SweepStudy, judge
from tune.trial_keys import FAILURE_KEY, NUMBER_KEY, RESTORE_KEY


class OptunaSearcher(Searcher):  # type: ignore[misc]  # ray is untyped here
    """Proposes the trials of a study, those of a resumed sweep first, and reports how they do and end.

    A suggestion is flat: settings by dotted path, the trial's `number`, and `restore`, the path of a
    checkpoint, when the trial goes on. `base` holds the settings that are not searched; it decides how many
    images a trial is to see. `at_once` says, whenever a trial is asked for, how many may be under way.
    """

    def __init__(
        self,
        study: SweepStudy,
        base: GanConfig,
        *,
        metric: str,
        mode: str,
        at_once: Callable[[], float] = lambda: math.inf,
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self.interrupted = False
        """Set when the sweep is stopped from outside: trials that end then stay RUNNING, for a resume."""
        self._study, self._base, self._at_once = study, base, at_once
        self._under_way: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._images: dict[int, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial; None while as many as may be are under way; or FINISHED."""
        if len(self._under_way) >= self._at_once():
            return None
        extra: dict[str, Any] = {}
        if self._study.returning:
            returning = self._study.returning.pop(0)
            number, values = returning.number, dict(returning.values)
            checkpoint = returning.last_checkpoint()
            extra = {RESTORE_KEY: checkpoint.path} if checkpoint is not None else {}
        else:
            asked = self._study.ask()
            if asked is None:
                return cast(dict[str, Any], Searcher.FINISHED)  # a string that Tune compares with
            number, values = asked
        self._numbers[trial_id] = number
        self._under_way.add(trial_id)
        self._images[number] = self._base.with_values(values).total_images()
        self._study.annotate(number, TRIAL_ID_ATTR, trial_id)
        self._study.flush()
        return {**values, NUMBER_KEY: number, **extra}

    def number_of(self, trial_id: str) -> int | None:
        """The number of a trial of this run, which Tune knows by its id."""
        return self._numbers.get(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report the objective at the images seen; what a retried trial reports again is left out."""
        number = self._numbers.get(trial_id)
        if number is not None and "images_seen" in result and not self._study.is_finished(number):
            self._study.report(number, int(result["images_seen"]), result.get(self.metric))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study how the trial ended, unless the sweep was interrupted."""
        self._under_way.discard(trial_id)
        number = self._numbers.get(trial_id)
        if self.interrupted or number is None:
            return
        result = result or {}
        self.on_trial_result(trial_id, result)  # Tune does not pass on the result that made it stop a trial
        failure = result.get(FAILURE_KEY) or ("failed more often than allowed" if error else None)
        outcome = judge(
            value=result.get(self.metric),
            images_seen=int(result.get("images_seen") or 0),
            images=self._images[number],
            failure=None if failure is None else str(failure),
        )
        self._study.tell(number, outcome)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study is on disk already, and nothing of a sweep is pickled."""

    def restore(self, checkpoint_path: str) -> None:
        """Refuse: a sweep is resumed from its study and its event log."""
        raise ConfigError("Tune does not restore a sweep; use python -m tune resume")

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its Tuner with everything in it; open files and locks have no place there
        return {"_metric": self._metric, "_mode": self._mode}
