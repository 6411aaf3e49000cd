"""Fréchet distance between features of the shipped EfficientNet-Lite0."""

from gan.config import EvaluationConfig
from gan.metrics.feature_distance import HeldOutDistance
from gan.metrics.frechet import distance_to
from gan.metrics.named import Metric
from gan.metrics.reference import RealImages


def prepare(config: EvaluationConfig, real: RealImages) -> HeldOutDistance:
    """The metric with the features of the real images."""
    return HeldOutDistance(config, real, network="lite0", distance_to=distance_to)


METRIC = Metric(prepare=prepare, uses_network=True, second="fd_compact")
