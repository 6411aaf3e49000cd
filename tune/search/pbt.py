"""RAY: population based training (Jaderberg et al. 2017) on trials that the study proposed."""

import math
import random
import types
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ray.train._internal.session import _FutureTrainingResult  # 2.60 has no public name for it
from ray.tune.schedulers import PopulationBasedTraining

from tune.space.space import Space, clip, to_mutations
from tune.trial_keys import GRID_KEY, NOMINAL_KEY, NUMBER_KEY


class Population(PopulationBasedTraining):  # type: ignore[misc]  # ray is untyped here
    """Tune's scheduler on images seen, kept inside the search space, with any number of worker groups.

    Args:
        interval: images between two exploits of a trial.
        continued: for each trial that a resumed sweep continues, the images at its last exploit.
        diverged: ids of the trials that had diverged at this tick. They count as the worst, whatever their
            value: garbage may be near the data by chance, and would be copied.
    """

    def __init__(
        self,
        space: Space,
        *,
        interval: int,
        seed: int,
        continued: Mapping[int, int] | None = None,
        diverged: Collection[str] = (),
    ) -> None:
        self._continued, self._diverged = dict(continued or {}), diverged
        random.seed(seed)  # the generator that the scheduler draws from
        super().__init__(
            time_attr=NOMINAL_KEY,
            perturbation_interval=interval,
            hyperparam_mutations=to_mutations(space),
            # Tune multiplies by 0.8 or 1.2 and ignores the range
            custom_explore_fn=lambda config: clip(space, config),
            log_config=False,
            require_attrs=False,
        )

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        result.pop(GRID_KEY, None)  # the base class keeps the result, and Tune writes that of a copied trial
        if trial.trial_id in self._diverged:
            result = {**result, self._metric: math.inf}
        # Tune pauses a trial as long as another waits, and stops its actor, so that all get a turn. Here all
        # trials have an actor, and wait for a worker group in the pool, which takes them in turn.
        decision = super().on_trial_result(tune_controller, trial, result)
        return str(self.CONTINUE if decision == self.PAUSE else decision)

    def needed_checkpoints(self, tune_trials: Sequence[Any]) -> set[str]:
        """Paths of the states from which one of these trials continues, or which one may copy."""
        if not tune_trials:
            return set()
        waiting = [trial.checkpoint for trial in tune_trials]
        offered = [_resolved(state.last_checkpoint) for state in self._trial_state.values()]
        return {checkpoint.path for checkpoint in (*waiting, *offered) if checkpoint is not None}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        # Tune refuses every searcher here, since one that learns would get results of values that have
        # changed since. The study draws its population at random, so that this check can be skipped.
        super().on_trial_add(types.SimpleNamespace(search_alg=None), trial)
        exploited = self._continued.pop(trial.config[NUMBER_KEY], 0)
        self._trial_state[trial].last_perturbation_time = exploited


def _resolved(checkpoint: Any) -> Any:
    # the scheduler keeps a state that is still being saved as a future
    if isinstance(checkpoint, _FutureTrainingResult):
        result = checkpoint.resolve(block=False)
        return result.checkpoint if result else None
    return checkpoint
