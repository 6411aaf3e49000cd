"""Paths in a configuration, made to mean the same in every process."""

from pathlib import Path

from gan.config import GanConfig
from gan.data.sources import NAMED


def with_absolute_paths(config: GanConfig) -> GanConfig:
    """The same configuration with absolute paths: Ray's workers have another working directory."""
    paths = {
        "data.root": config.data.root,
        "data.cache": config.data.cache,
        "evaluation.metric_weights": config.evaluation.metric_weights,
    }
    if config.data.source not in NAMED:
        paths["data.source"] = config.data.source
    return config.with_values(
        {name: str(Path(path).expanduser().absolute()) for name, path in paths.items() if path}
    )
