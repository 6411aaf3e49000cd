"""RAY: population based training (Jaderberg et al. 2017) on trials that the study proposed."""

import types
from typing import Any

from ray.tune.schedulers import PopulationBasedTraining

from tune.space import Space, clip, to_mutations


class Population(PopulationBasedTraining):  # type: ignore[misc]  # ray is untyped here
    """Tune's scheduler on images seen, kept inside the search space; also with more trials than gangs.

    Args:
        interval: images between two exploits of a trial.
    """

    def __init__(self, space: Space, *, interval: int, seed: int) -> None:
        super().__init__(
            time_attr="images_seen",
            perturbation_interval=interval,
            hyperparam_mutations=to_mutations(space),
            # Tune multiplies by 0.8 or 1.2 without a look at the range
            custom_explore_fn=lambda config: clip(space, config),
            log_config=False,
            require_attrs=False,
        )

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        # Tune refuses every searcher here, since one that learns would be told of values that were changed
        # on the way. The study's population is drawn at random, so it may: only this check is passed by.
        super().on_trial_add(types.SimpleNamespace(search_alg=None), trial)
