"""Reads the Optuna study of a sweep, also while it runs, without writing to it."""

import optuna

from common.errors import ConfigError
from tune.config import SweepConfig
from tune.records.sweep_folder import SweepFolder
from tune.search.journal import StudyStorage, name_of_study
from tune.search.study_url import check_study_url


def read_study(folder: SweepFolder, config: SweepConfig) -> optuna.Study:
    """A copy in memory of the sweep's study as it is now; what is done to the copy does not reach the sweep.

    Raises: ConfigError when there is no study, or its database cannot be opened.
    """
    if config.study is not None:
        check_study_url(config.study, must_exist=True)
    place = StudyStorage(folder.location, config.study, is_copy=True)
    candidates = [name for name in (folder.study_name(), folder.name, config.name) if name is not None]
    name = name_of_study(place, candidates, is_shared=config.study is not None)
    if name not in place.names():
        where = config.study or f"the journal of {folder.location}"
        raise ConfigError(f"{where} has no study named {name} yet; wait for the sweep's first trial")
    if config.study is None:
        return optuna.load_study(study_name=name, storage=place.storage)
    copy = optuna.storages.InMemoryStorage()
    optuna.copy_study(from_study_name=name, from_storage=place.storage, to_storage=copy)
    return optuna.load_study(study_name=name, storage=copy)
