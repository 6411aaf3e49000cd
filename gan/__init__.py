"""One GAN: its networks, data, training and metrics: `gan.train`, `gan.load`, `python -m gan`."""

from typing import TYPE_CHECKING

from common.lazy_exports import exported_from

if TYPE_CHECKING:
    from gan.api import TrainedGan, load, train
    from gan.config import GanConfig

__all__ = ["GanConfig", "TrainedGan", "load", "train"]

# PyTorch takes seconds to import, which `--help` does not need
__getattr__, __dir__ = exported_from(
    __name__, {"GanConfig": "gan.config", "TrainedGan": "gan.api", "load": "gan.api", "train": "gan.api"}
)
