"""number of the data's classes that no generated image is of; needs labels."""

from gan.config import EvaluationConfig
from gan.metrics.classes.modes import ModesMetric
from gan.metrics.named import Metric
from gan.metrics.reference import RealImages


def prepare(config: EvaluationConfig, real: RealImages) -> ModesMetric:
    """The metric with its classifier, which may have to be trained."""
    return ModesMetric(config, real, lambda modes: float(modes.in_real - modes.covered))


METRIC = Metric(prepare=prepare, needs_labels=True)
