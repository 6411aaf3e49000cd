"""What the numbers of a tick mean: one entry a column of a run's or a sweep's history.

A name may be a pattern: `<network>` stands for a feature network, `<images>` for a number of images as in
metrics' names (1k, 500). A registered metric is described by its own module.
"""

import dataclasses
import functools
import re

from gan.metrics.config import EvaluationConfig
from gan.metrics.named import METRICS

NOISE = "_noise"
"""Ending of the columns that hold a number's noise floor."""
_STANDS_FOR = {"<network>": "[a-z0-9]+", "<images>": r"\d+k?"}


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    """Its name, or a pattern of names."""
    dtype: str
    """Its type in pandas."""
    unit: str
    """Of its values; empty where they have none."""
    meaning: str
    missing: str = "never"
    """When a value is missing."""

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the names that this entry describes."""
        text = re.escape(self.name)
        for word, found in _STANDS_FOR.items():
            text = text.replace(re.escape(word), found)
        return re.compile(text)


def _number(name: str, unit: str, meaning: str, missing: str = "never") -> Column:
    return Column(name, "float64", unit, meaning, missing)


_BY_METRIC = "where the run's metric does not report it"
_NEW = "in the logs of versions that did not measure it"

TICK_COLUMNS: tuple[Column, ...] = (
    _number("images_seen", "images", "real images shown so far"),
    _number("step", "steps", "training steps so far"),
    _number("discriminator_loss", "", "its mean over the tick's steps, without penalties"),
    _number("generator_loss", "", "its mean over the tick's steps in which the generator trained"),
    _number("accuracy_real", "share", "share of real images that the discriminator called real"),
    _number("accuracy_fake", "share", "share of generated images that the discriminator called generated"),
    _number("discriminator_skipped", "share", "share of the tick's steps in which the discriminator rested"),
    _number("generator_skipped", "share", "share of the tick's steps in which the generator rested"),
    _number("generator_gradient", "", "norm of the generator's gradient over the last steps", _NEW),
    _number("discriminator_gradient", "", "norm of the discriminator's gradient over the last steps", _NEW),
    _number("generator_lr", "", "the generator's learning rate in the last step, by its schedule"),
    _number("discriminator_lr", "", "the discriminator's learning rate in the last step, by its schedule"),
    _number(
        "augment_probability", "share", "probability of an augmentation", "where images are not augmented"
    ),
    _number("recall_<network>_<images>", "share", "share of real images near a generated one", _BY_METRIC),
    _number(
        "coverage_<network>_<images>",
        "share",
        "share of real images whose neighbourhood has a generated one",
        _BY_METRIC,
    ),
    _number(
        "spread_<network>_<images>",
        "of real",
        "standard deviation of generated images' features over that of real ones",
        _BY_METRIC,
    ),
    _number(
        "separation_<network>_<images>",
        "of real",
        "mean distance of a generated image to the nearest other, over the spread, against real ones",
        _BY_METRIC,
    ),
    _number(
        "memorization_<network>_<images>",
        "of held-out",
        "distance to the training images over that of held-out ones: 0 copies, 1 as new",
        _BY_METRIC,
    ),
    _number("modes_<images>", "classes", "classes of which a generated image is", _BY_METRIC),
    _number("kl_<images>", "nats", "divergence of the generated classes from those of the data", _BY_METRIC),
    _number("checkerboard", "of real", "energy of patterns of 2 and 4 pixels; above 1 is worse", _NEW),
    _number("burnt", "share", "share of burnt values less that in real images; above 0 is worse", _NEW),
    _number(
        "discriminator_margin",
        "deviations",
        "output for held-out images less that for generated ones: how far ahead the discriminator is",
        _NEW,
    ),
    _number(
        "discriminator_overfit",
        "deviations",
        "output for training images less that for held-out ones: how well it knows them by heart",
        _NEW,
    ),
    _number("train_s", "s", "time of training in the tick"),
    _number("evaluate_s", "s", "time of measuring after the tick"),
    _number("images_per_s", "images/s", "speed of training, of all workers together"),
)


def describe(name: str) -> Column:
    """What a number of a tick means, by its name in the tables; imports no metric.

    A number that is none of the package's own is said not to be described.
    """
    if name.endswith(NOISE):
        measure = name.removesuffix(NOISE)
        meaning = f"noise floor of {measure}: its value for real training images"
        return dataclasses.replace(describe(measure), name=name, meaning=meaning)
    found = next((each for each in TICK_COLUMNS if each.pattern.fullmatch(name)), None)
    if found is not None:
        return dataclasses.replace(found, name=name)
    metric = next((each for each in METRICS if re.fullmatch(rf"{each}(_\d+k?)?", name)), None)
    if metric is not None:
        return _of_metric(name, metric)
    return _number(name, "", "reported by the run's metric; not described", _BY_METRIC)


def metric_columns() -> list[Column]:
    """One entry for each registered metric that is not in `TICK_COLUMNS`; imports all of them."""
    known = {column.name for column in TICK_COLUMNS}
    patterns = {metric: _pattern_of(metric) for metric in METRICS}
    return [_of_metric(pattern, metric) for metric, pattern in patterns.items() if pattern not in known]


def _of_metric(name: str, metric: str) -> Column:
    return _number(name, "", METRICS.summary(metric), "where it is not the run's metric")


def _pattern_of(metric: str) -> str:
    """`fd_lite0_<images>`, or `swd`, whose name has no number."""
    key = EvaluationConfig(metric=metric, metric_images=1000).key()
    return metric if key == metric else f"{metric}_<images>"
