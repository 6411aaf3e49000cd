"""Metrics that `--metric` names, one module each: image quality as one number at the end of every tick.

A new metric is a new module with a constant `METRIC`; the first line of its docstring is its line in
`--help`. Mathematics that other code uses as well is in `gan.metrics`: distances, neighbours, features.
Nothing here imports PyTorch, so that a command line can list the metrics before it is loaded.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from common.registry import Registry

if TYPE_CHECKING:
    import torch

    from gan.config import EvaluationConfig
    from gan.distributed import Ranks
    from gan.metrics.reference import RealImages


class PreparedMetric(Protocol):
    """A metric with its real images prepared, for every rank of a run and for one run after another.

    Lower is better, whatever the metric.
    """

    @property
    def name(self) -> str:
        """Its key in the tick's numbers: `EvaluationConfig.key()`."""

    @property
    def num_images(self) -> int:
        """How many generated images all ranks together measure."""

    @property
    def noise_floor(self) -> float:
        """The value of real training images, as a perfect generator would get it."""

    def share(self, ranks: "Ranks") -> slice:
        """Which of the generated images this rank generates for `measure` and `distance`."""

    def distance(self, generated: "torch.Tensor", ranks: "Ranks") -> float:
        """The metric alone of generated images, as `measure` finds it."""

    def measure(self, generated: "torch.Tensor", ranks: "Ranks") -> dict[str, float]:
        """The metric of generated images, the same on every rank.

        generated: this rank's share, uint8 (N, H, W, C) on any device.

        Returns: under `name` the value; under `<name>_noise` its noise floor; further values under names of
        their own.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """How a metric is prepared, and what its configuration needs to know."""

    prepare: "Callable[[EvaluationConfig, RealImages], PreparedMetric]"
    """Computes once what depends on the real images alone.

    Raises: ConfigError for too few images, images it cannot measure, missing weights."""
    uses_network: bool = False
    """Whether it measures features of a pretrained network: then `--metric-weights` is allowed, and a driver
    prepares it before the workers start, since features of the real images take long and are cached."""
    needs_labels: bool = False
    """Whether it counts classes: then data without labels are refused, and a driver prepares it before the
    workers start, since a classifier of the classes is trained once and cached."""
    name_has_count: bool = True
    """Whether the name in tables ends in the number of images, as values compare only for equal ones."""
    second: str | None = "fd_lite0"
    """The metric with which a sweep also measures its best states in the end: another network sees what a
    search may have hidden from the one that it minimized."""


METRICS: Registry[Metric] = Registry("gan.metrics.named", "METRIC", what="metric", separator="_")
