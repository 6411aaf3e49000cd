"""Fréchet distance between features of the shipped network."""

from collections.abc import Callable

import torch

from gan.config import EvaluationConfig
from gan.metrics.feature_distance import CompactDistance
from gan.metrics.frechet import GaussianStatistics, frechet_distance
from gan.metrics.named import Metric
from gan.metrics.reference import RealImages


def prepare(config: EvaluationConfig, real: RealImages) -> CompactDistance:
    """The metric with the features of the real images."""
    return CompactDistance(config, real, _distance_to)


def _distance_to(real: torch.Tensor) -> Callable[[torch.Tensor], float]:
    statistics = GaussianStatistics.from_features(real)
    return lambda features: frechet_distance(statistics, GaussianStatistics.from_features(features))


METRIC = Metric(prepare=prepare, uses_network=True)
