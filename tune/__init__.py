"""Tunes GANs, many trials on one machine or a Ray cluster: `tune.run`, `tune.load`, `python -m tune`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tune.api import Best, Sweep, load, run
    from tune.config import SweepConfig
    from tune.space.space import Choice, Float, Int, Space

__all__ = ["Best", "Choice", "Float", "Int", "Space", "Sweep", "SweepConfig", "load", "run"]

_HOMES = {
    "Best": "tune.api",
    "Choice": "tune.space.space",
    "Float": "tune.space.space",
    "Int": "tune.space.space",
    "Space": "tune.space.space",
    "Sweep": "tune.api",
    "SweepConfig": "tune.config",
    "load": "tune.api",
    "run": "tune.api",
}


def __getattr__(name: str) -> Any:
    # imported on first use: Ray and PyTorch take seconds, which `--help` does not need
    if name not in _HOMES:
        raise AttributeError(f"module 'tune' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
