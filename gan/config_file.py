"""A configuration as the JSON file that a run or a sweep saves, and its paths made absolute."""

from pathlib import Path

from common.errors import ConfigError
from common.storage.folder import Folder, parse_json
from gan.config import NAMED_SOURCES, GanConfig

CONFIG_FILE = "config.json"


def with_absolute_paths(config: GanConfig) -> GanConfig:
    """The same configuration with absolute paths: Ray's workers have another working directory."""
    paths = {
        "data.root": config.data.root,
        "data.cache": config.data.cache,
        "evaluation.metric_weights": config.evaluation.metric_weights,
    }
    if config.data.source not in NAMED_SOURCES:
        paths["data.source"] = config.data.source
    return config.with_values(
        {name: str(Path(path).expanduser().absolute()) for name, path in paths.items() if path}
    )


def read_config(location: str, flag: str) -> GanConfig:
    """The settings in a JSON file, local or at a URL; `flag` named it.

    Raises: ConfigError when it cannot be read or breaks a rule.
    """
    folder, _, name = location.rpartition("/")
    data = Folder(folder or ".").read(name)
    if data is None:
        raise ConfigError(
            f"{flag} needs {location}, which does not exist; give what a run or a sweep has saved"
        )
    return GanConfig.from_dict(parse_json(data, location))
