"""The settings of a run by dotted path, as trackers show them."""

from typing import Any

from common.settings import setting_paths
from gan.config import GanConfig


def flat_settings(config: GanConfig) -> dict[str, Any]:
    """Every setting of a run by dotted path."""
    return {path: config.value(path) for path in setting_paths(GanConfig)}
