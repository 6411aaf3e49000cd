"""One GAN: its networks, data, training and metrics: `gan.train`, `gan.load`, `python -m gan`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan.api import TrainedGan, load, train
    from gan.config import GanConfig

__all__ = ["GanConfig", "TrainedGan", "load", "train"]

_HOMES = {"GanConfig": "gan.config", "TrainedGan": "gan.api", "load": "gan.api", "train": "gan.api"}


def __getattr__(name: str) -> Any:
    # imported on first use: PyTorch takes seconds, which `--help` does not need
    if name not in _HOMES:
        raise AttributeError(f"module 'gan' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
