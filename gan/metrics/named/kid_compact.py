"""kernel distance (KID) between features of the shipped network."""

from collections.abc import Callable

import torch

from gan.config import EvaluationConfig
from gan.metrics.feature_distance import HeldOutDistance
from gan.metrics.kid import kernel_distance, kernel_set
from gan.metrics.named import Metric
from gan.metrics.reference import RealImages


def prepare(config: EvaluationConfig, real: RealImages) -> HeldOutDistance:
    """The metric with the features of the real images."""
    return HeldOutDistance(config, real, network="compact", distance_to=_distance_to)


def _distance_to(real: torch.Tensor) -> Callable[[torch.Tensor], float]:
    kernels = kernel_set(real)
    return lambda features: kernel_distance(kernels, features).value


METRIC = Metric(prepare=prepare, uses_network=True)
