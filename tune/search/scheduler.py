"""RAY: the scheduler through which Tune asks an early-stopping rule whether a trial stops."""

from collections.abc import Collection, Mapping
from typing import Any

from ray.tune.schedulers import FIFOScheduler

from gan.config import GanConfig
from tune.records.trial_records import BASELINE_NUMBER, Trial
from tune.search.early_stopping import EarlyStoppingRule
from tune.trial_keys import NOMINAL_KEY, NUMBER_KEY


class EarlyStopping(FIFOScheduler):  # type: ignore[misc]  # ray is untyped here
    """Stops trials when the rule says so, but never the baseline, with which all others are compared.

    diverged: ids of the trials that had diverged at this tick. They stop, and the rule does not hear of their
    values: the distance of garbage may be small.
    """

    def __init__(self, rule: EarlyStoppingRule, metric: str, diverged: Collection[str] = ()) -> None:
        super().__init__()
        self._rule, self._key, self._diverged = rule, metric, diverged

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if self._key not in result:
            return str(self.CONTINUE)
        number = trial.config[NUMBER_KEY]
        stops = trial.trial_id in self._diverged or self._rule.stops(
            number, result[NOMINAL_KEY], result[self._key]
        )
        return str(self.STOP if stops and number != BASELINE_NUMBER else self.CONTINUE)


def replay(rule: EarlyStoppingRule, trials: Mapping[int, Trial], base: GanConfig) -> None:
    """Tell a rule what a sweep's earlier sessions measured."""
    metric = base.evaluation.key()
    for number, trial in trials.items():
        ticks = trial.valid_ticks()
        if trial.state == "pruned" and trial.ended_for is not None:
            ticks = ticks[:-1]  # of which the rule was not asked, since the verdict stopped the trial before
        for tick in ticks:
            value = tick.counted(metric)
            if value is not None:
                rule.stops(number, base.nominal_images(tick.images_seen), value)
