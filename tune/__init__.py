"""Tunes GANs, many trials on one machine or a Ray cluster: `tune.run`, `tune.load`, `python -m tune`."""

from typing import TYPE_CHECKING

from common.lazy_exports import exported_from

if TYPE_CHECKING:
    from tune.api import Best, Sweep, load, run
    from tune.config import SweepConfig
    from tune.space.space import Choice, Float, Int, Space

__all__ = ["Best", "Choice", "Float", "Int", "Space", "Sweep", "SweepConfig", "load", "run"]

# Ray and PyTorch take seconds to import, which `--help` does not need
__getattr__, __dir__ = exported_from(
    __name__,
    {
        "Best": "tune.api",
        "Choice": "tune.space.space",
        "Float": "tune.space.space",
        "Int": "tune.space.space",
        "Space": "tune.space.space",
        "Sweep": "tune.api",
        "SweepConfig": "tune.config",
        "load": "tune.api",
        "run": "tune.api",
    },
)
