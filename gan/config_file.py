"""Reading the JSON file of settings that a run or a sweep saved, and making its paths absolute."""

import dataclasses
from pathlib import Path

from common.errors import ConfigError
from common.storage.folder import Folder, parse_json
from gan.config import NAMED_SOURCES, GanConfig

CONFIG_FILE = "config.json"
DETAILS = "run.json"


def with_absolute_paths(config: GanConfig) -> GanConfig:
    """The same configuration with absolute paths: Ray's workers have another working directory."""
    data, evaluation = config.data, config.evaluation
    return dataclasses.replace(
        config,
        data=dataclasses.replace(
            data,
            source=data.source if _is_no_path(data.source) else _absolute(data.source),
            root=data.root and _absolute(data.root),
            cache=data.cache and _absolute(data.cache),
        ),
        evaluation=dataclasses.replace(
            evaluation, metric_weights=evaluation.metric_weights and _absolute(evaluation.metric_weights)
        ),
    )


def read_config(location: str, flag: str) -> GanConfig:
    """The settings in a JSON file, local or at a URL; `flag` is the flag that named it.

    Raises: ConfigError when it cannot be read or breaks a rule.
    """
    folder, _, name = location.rpartition("/")
    data = Folder(folder or ".").read(name)
    if data is None:
        raise ConfigError(
            f"{flag} needs {location}, which does not exist; give a file that a run or a sweep saved"
        )
    try:
        return GanConfig.from_dict(parse_json(data, location))
    except ConfigError as error:
        if location in str(error):
            raise
        raise ConfigError(f"{flag} {location}: {error}") from None


def _is_no_path(source: str) -> bool:
    return source in NAMED_SOURCES or "://" in source


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
