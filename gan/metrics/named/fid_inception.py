"""FID as published (Heusel et al. 2017): Fréchet distance to the training images in Inception's features."""

import numpy as np
import torch

from gan.config import EvaluationConfig
from gan.distributed import Ranks
from gan.metrics.feature_distance import FeatureDistance, embedded_batches
from gan.metrics.frechet import GaussianStatistics, frechet_distance
from gan.metrics.named import Metric
from gan.metrics.reference import RealImages, Tensors, remembered


class InceptionDistance(FeatureDistance):
    """FID as published; its noise floor is the FID of the held-out images.

    The value falls with the number of images on either side, so values compare only for equal numbers; the
    literature has 50,000 generated images.
    """

    def __init__(self, config: EvaluationConfig, real: RealImages) -> None:
        super().__init__(config, real, network="inception")

        def embed() -> Tensors:
            train, held_out = self._statistics_of(real.train), self._statistics_of(real.held_out)
            return _prefixed("train_", train.to_tensors()) | _prefixed("held_out_", held_out.to_tensors())

        key = None if real.fingerprint is None else [real.fingerprint, self._embedder.key]
        tensors = remembered(real.cache, key, embed)
        self._train, held_out = (
            GaussianStatistics.from_tensors(_unprefixed(prefix, tensors))
            for prefix in ("train_", "held_out_")
        )
        self.noise_floor = frechet_distance(self._train, held_out)

    def distance(self, generated: torch.Tensor, ranks: Ranks) -> float:
        """The distance of the features of all ranks' images."""
        statistics = GaussianStatistics.from_features(self._features(generated, ranks))
        return ranks.of_first({self.name: frechet_distance(self._train, statistics)})[self.name]

    def measure(self, generated: torch.Tensor, ranks: Ranks) -> dict[str, float]:
        """The distance with its noise floor."""
        return {self.name: self.distance(generated, ranks), f"{self.name}_noise": self.noise_floor}

    def _statistics_of(self, images: np.ndarray) -> GaussianStatistics:
        """Statistics of the features of all images, without keeping the features."""
        return GaussianStatistics.merged(
            GaussianStatistics.from_features(part) for part in embedded_batches(self._embedder, images)
        )


def _prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _unprefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


METRIC = Metric(prepare=InceptionDistance, uses_network=True)
