"""What a run measures at the end of each tick: its objective, variety, faults of images, the margin."""

import torch
from torch import Tensor, nn

from common.device import autocast_dtype
from gan.config import GanConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.metrics.preparation import artifacts_of_run, metric_of_run
from gan.training.measuring.margin import MarginProbe


class Measuring:
    """Measures samples of the averaged generator and asks the discriminator about them.

    What is prepared from the real images is kept in the process: the next trial of a worker group finds it.
    """

    def __init__(self, config: GanConfig, images: Images, ranks: Ranks, device: torch.device) -> None:
        self._metric = metric_of_run(config, images, device=device)
        self.objective, self.num_images = self._metric.name, self._metric.num_images
        self.share = self._metric.share(ranks)
        """Which of the samples this rank makes."""
        self._artifacts = artifacts_of_run(config, images, self.num_images, device=device)
        self._margin = MarginProbe(config, images, self.share, self.num_images, ranks)
        self._ranks, self._dtype = ranks, autocast_dtype(config.precision, device)

    @torch.no_grad()
    def row(self, samples: Tensor, discriminator: nn.Module) -> dict[str, float]:
        """All numbers by name, the same on every rank; samples: this rank's, uint8 (N, H, W, C)."""
        return (
            self._metric.measure(samples, self._ranks)
            | self._artifacts.measure(samples, self._ranks)
            | self._margin.measure(discriminator, samples, self._dtype)
        )
