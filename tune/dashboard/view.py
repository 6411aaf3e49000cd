"""An Optuna storage that shows one study of another storage, with the sweep's grids, and changes nothing."""

import copy
from collections.abc import Callable, Container, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from common.errors import ConfigError

Attributes = Callable[[int], dict[str, str]]
"""A trial's number -> further system attributes of the trial."""


class StudyView(BaseStorage):
    """Reads from `storage`, and shows of its studies only one.

    metric: name of its objective, which a sweep's study does not have. further: what the trials have besides
    the attributes in the storage.
    """

    def __init__(self, storage: BaseStorage, name: str, *, metric: str, further: Attributes) -> None:
        self._storage, self._name, self._further = storage, name, further
        self._named = {"study:metric_names": [metric]}
        self.study_id = int(storage.get_study_id_from_name(name))

    # --- the study

    def get_all_studies(self) -> list[Any]:
        shown = [study for study in self._storage.get_all_studies() if study.study_name == self._name]
        for study in shown:
            study.system_attrs = study.system_attrs | self._named
        return shown

    def get_study_id_from_name(self, study_name: str) -> int:
        return int(self._storage.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        return str(self._storage.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[optuna.study.StudyDirection]:
        return list(self._storage.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return dict(self._storage.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return dict(self._storage.get_study_system_attrs(study_id)) | self._named

    # --- its trials

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._shown(self._storage.get_trial(trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        found = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [self._shown(trial) for trial in found]

    def _shown(self, trial: FrozenTrial) -> FrozenTrial:
        shown = copy.copy(trial)
        shown.system_attrs = {**trial.system_attrs, **self._further(trial.number)}
        return shown

    # --- what is refused

    def create_new_study(self, directions: Sequence[Any], study_name: str | None = None) -> int:
        raise _refused()

    def delete_study(self, study_id: int) -> None:
        raise _refused()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        raise _refused()

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        raise _refused()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        raise _refused()

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: Any
    ) -> None:
        raise _refused()

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        raise _refused()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        raise _refused()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        raise _refused()

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        raise _refused()


def _refused() -> ConfigError:
    return ConfigError("the dashboard only shows a study; nothing can be changed in it")
