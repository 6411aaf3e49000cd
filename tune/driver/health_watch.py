"""RAY: the stopper through which Tune ends trials for their verdicts."""

from collections.abc import Callable, Mapping
from typing import Any

from ray.tune import Stopper

from gan.training.health import DIVERGED, Verdict, verdict
from gan.training.health.stopping import NOTHING, StoppingConfig
from tune.config import SweepConfig
from tune.records.trial_records import BASELINE_NUMBER, Trial
from tune.trial_keys import FAILURE_KEY, METRICS_KEY, STOPPED_KEY, VERDICT_KEY


class HealthWatch(Stopper):  # type: ignore[misc]  # ray is untyped here
    """Reads the verdict on a trial after each of its ticks, and stops the trial if `--stop-when` says so.

    The verdict is added to the result, where the event log and the study find it. Neither the baseline is
    stopped, with which all others are compared, nor a member of a population: a poor one copies a good one.

    Args:
        trials: what the event log says of each trial, by number, up to the tick before.
        number_of: the number of the trial with an id of Tune's.
        diverged: kept up to date for searcher and scheduler, whose copy of a result Tune 2.60 makes before
            it asks this: the ids of the trials that had diverged at their last tick.
    """

    def __init__(
        self,
        config: SweepConfig,
        trials: Mapping[int, Trial],
        number_of: Callable[[str], int | None],
        diverged: set[str],
    ) -> None:
        self._trials, self._number_of, self._diverged = trials, number_of, diverged
        self._metric = config.gan.evaluation.key()
        is_population = config.scheduler == "pbt"
        self._stopping = StoppingConfig(when=NOTHING) if is_population else config.gan.stopping

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        number = self._number_of(trial_id)
        if number is None or FAILURE_KEY in result or METRICS_KEY not in result:
            return False
        found = self._last_verdicts(number, dict(result[METRICS_KEY]))
        result[VERDICT_KEY] = found[-1]
        if found[-1].name == DIVERGED:
            self._diverged.add(trial_id)
        else:
            self._diverged.discard(trial_id)
        stops = self._stopping.stops(found) is not None
        if result.get("done") or not stops or number == BASELINE_NUMBER:
            return False
        result[STOPPED_KEY] = True
        return True

    def stop_all(self) -> bool:
        """Never: a verdict is on one trial."""
        return False

    def _last_verdicts(self, number: int, row: dict[str, float]) -> list[Verdict]:
        """The verdicts on the last ticks, as many as the patience needs; those of lost attempts left out."""
        trial = self._trials.get(number)
        ticks = [] if trial is None else trial.valid_ticks()
        history = [tick.metrics for tick in ticks if tick.images_seen < row["images_seen"]] + [row]
        first = max(1, len(history) - self._stopping.patience + 1)
        return [verdict(history[:end], self._metric) for end in range(first, len(history) + 1)]

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its Tuner with all that it is given
