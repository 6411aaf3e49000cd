"""How a run's quality is measured: the metric, its number of images, and what it is compared with."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from common.errors import require
from gan.metrics.named import METRICS

# mypy cannot read a Literal that is computed
if TYPE_CHECKING:
    MetricName = str
else:
    MetricName = Literal[*METRICS.names]

CONFIRMATION_IMAGES = 5_000
LEAST_METRIC_IMAGES, MOST_METRIC_IMAGES = 16, 100_000
"""Fewer say nothing; the memory of the features, and of some measures the time, grows with the number."""
CHECKERBOARD, BURNT = "checkerboard", "burnt"
ARTIFACTS = (CHECKERBOARD, BURNT)
"""Numbers that every tick has beside its metric's, whatever the metric: see `gan.metrics.artifacts`."""


def count_name(count: int) -> str:
    """A number of images as metrics' names have it: 50k, 2k, 500."""
    return f"{count // 1000}k" if count >= 1000 and count % 1000 == 0 else str(count)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How quality is measured at the end of a tick."""

    metric: Annotated[MetricName, tyro.conf.arg(help=f"{METRICS.help()} Lower is better.")] = "fd_lite0"
    metric_images: int = 1000
    """Generated images that are measured, 16 to 100,000; swd takes at most as many as are held out."""
    metric_weights: str | None = None
    """File of the network's weights; default: what is shipped, for inception the cache or a download."""
    held_out_part: Annotated[Literal["all", "search", "confirmation"], tyro.conf.Suppress] = "all"
    """Held-out images that are compared with: in a sweep one half, so that the winner can be measured against
    the other half, which the search has never seen."""

    def __post_init__(self) -> None:
        require(
            LEAST_METRIC_IMAGES <= self.metric_images <= MOST_METRIC_IMAGES,
            f"--metric-images must lie between {LEAST_METRIC_IMAGES} and {MOST_METRIC_IMAGES}, not "
            f"{self.metric_images}; try 1000",
        )
        require(
            self.metric_weights is None or METRICS[self.metric].uses_network,
            f"--metric-weights has no meaning for {self.metric}, which needs no network; leave it out",
        )

    def key(self) -> str:
        """The metric's name with its protocol, as in tables: fd_compact_2k, swd."""
        if METRICS[self.metric].name_has_count:
            return f"{self.metric}_{count_name(self.metric_images)}"
        return self.metric

    def for_confirmation(self) -> "EvaluationConfig":
        """How a state is measured again that was chosen by this measure."""
        return dataclasses.replace(
            self,
            metric_images=max(self.metric_images, CONFIRMATION_IMAGES),
            held_out_part="confirmation" if self.held_out_part == "search" else self.held_out_part,
        )

    def by_second_network(self, num_images: int) -> "EvaluationConfig | None":
        """How the same samples are measured by the metric's second network; None where it has none."""
        second = METRICS[self.metric].second
        if second is None:
            return None
        return dataclasses.replace(
            self, metric=second, metric_images=max(num_images, LEAST_METRIC_IMAGES), metric_weights=None
        )

    def by_other_networks(self, network: str, num_images: int) -> "list[EvaluationConfig]":
        """How samples are measured beside a network's own distances: by the run's metric and its second one.

        network: whose distances are measured already, as metrics' names have it. Metrics without a network
        are left out; more than CONFIRMATION_IMAGES images are not measured.
        """
        own = dataclasses.replace(self, metric_images=min(num_images, CONFIRMATION_IMAGES))
        second = own.by_second_network(own.metric_images)
        return [
            each
            for each in (own, second)
            if each is not None
            and METRICS[each.metric].uses_network
            and not each.metric.endswith(f"_{network}")
        ]
