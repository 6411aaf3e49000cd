"""The metric of a run with its real images prepared, once a process and ahead of the workers."""

import collections
import dataclasses
from collections.abc import Callable
from typing import TypeVar

import torch

from common.device import exact_float32
from common.errors import require
from gan.config import EvaluationConfig, GanConfig
from gan.data.cache import cache_folder
from gan.data.images import Images, every_second_picture
from gan.metrics.artifacts import Artifacts
from gan.metrics.classes.labelled import Classes
from gan.metrics.classes.modes import ModesMetric
from gan.metrics.feature_distance import FeatureDistance
from gan.metrics.few import LEAST_IMAGES, are_few, check_sizes, halves
from gan.metrics.named import METRICS, PreparedMetric
from gan.metrics.reference import RealImages, evenly

# every second picture, so that both halves have all classes; from which one on
_FIRST_OF_PART = {"search": 0, "confirmation": 1}
# Of a data set: the metric of the ticks and the two with which the best states are measured again. A process
# rarely meets more than one, and the real images of a metric may take 100 MiB.
_KEPT = 3

Prepared = TypeVar("Prepared")
_Store = collections.OrderedDict[tuple[object, ...], Prepared]

_prepared: _Store[PreparedMetric] = collections.OrderedDict()
_prepared_artifacts: _Store[Artifacts] = collections.OrderedDict()


@exact_float32()
def build_metric(config: EvaluationConfig, real: RealImages) -> PreparedMetric:
    """The metric that `config` names, prepared; the same object as before for an equal fingerprint.

    Raises: ConfigError for fewer than 16 images, for images that the metric cannot measure, and for missing
    weights of a network.
    """
    if real.fingerprint is None:
        return METRICS[config.metric].prepare(config, real)
    known = (config, real.fingerprint, real.seed, str(real.device))
    return _kept(_prepared, known, lambda: METRICS[config.metric].prepare(config, real))


def metric_of_run(config: GanConfig, images: Images, *, device: torch.device | str) -> PreparedMetric:
    """The metric with which a run of that configuration measures itself; see `build_metric`."""
    return build_metric(config.evaluation, real_images(config, images, torch.device(device)))


def compared_with_all(config: GanConfig) -> GanConfig:
    """The same settings, measured against all held-out images, also those that a sweep kept for its end."""
    return dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, held_out_part="all"))


def artifacts_of_run(
    config: GanConfig, images: Images, num_images: int, *, device: torch.device | str
) -> Artifacts:
    """What measures patterns and burnt pixels in a run; the same object as before for an equal fingerprint.

    num_images: how many are generated, for the noise floors.
    """
    real = real_images(config, images, torch.device(device))
    known = (real.fingerprint, num_images, str(real.device))
    return _kept(_prepared_artifacts, known, lambda: Artifacts(real, num_images))


def _kept(store: _Store[Prepared], known: tuple[object, ...], prepare: Callable[[], Prepared]) -> Prepared:
    """What is kept under this key, prepared first if need be; the last ones used are kept."""
    found = store.pop(known, None) or prepare()
    store[known] = found
    while len(store) > _KEPT:
        store.popitem(last=False)
    return found


def real_images(config: GanConfig, images: Images, device: torch.device) -> RealImages:
    """What a run's metric is prepared from: held-out and training images, of few pictures two halves."""
    held_out, train, part = images.held_out, images.train, config.evaluation.held_out_part
    held_out_labels, train_labels = images.held_out_labels, images.train_labels
    training_key = images.fingerprint
    if are_few(len(train), len(held_out)):
        held_out, train = halves(held_out, train, images.crops)
        if held_out_labels is not None and train_labels is not None:
            held_out_labels, train_labels = halves(held_out_labels, train_labels, images.crops)
        part_name, training_key = "halves", f"{images.fingerprint}-halves"
    elif part == "all" or len(held_out) < 2 * LEAST_IMAGES:  # too few to be divided
        part_name = "all"
    else:
        part_name, first = part, _FIRST_OF_PART[part]
        held_out = every_second_picture(held_out, first, images.crops)
        if held_out_labels is not None:
            held_out_labels = every_second_picture(held_out_labels, first, images.crops)
    classes = None
    if held_out_labels is not None and train_labels is not None:
        classes = Classes(
            train=train_labels,
            held_out=held_out_labels,
            number=len(images.class_names),
            per_channel=images.channel_classes,
            training_key=training_key,
        )
    return RealImages(
        held_out=held_out,
        train=train,
        seed=config.data.data_seed,  # not the run's seed: trials of a sweep are compared by the metric
        device=device,
        fingerprint=images.fingerprint if part_name == "all" else f"{images.fingerprint}-{part_name}",
        cache=cache_folder(config.data),
        classes=classes,
        flip=images.flip,
    )


def prepare_metric(config: GanConfig, images: Images) -> str | None:
    """Check before training starts that the run's quality can be measured, and fill the workers' cache.

    On a machine with GPUs the cache is left to the workers, each on its own GPU: a driver that opened one
    would keep some of its memory, and all of it where GPUs are set to be used by one process alone.

    Returns: what identifies the network with its weights, on whatever machine; None for a metric without.

    Raises: ConfigError as `build_metric`, and for a metric that needs labels where there are none.
    """
    check_sizes(len(images.train), len(images.held_out), config.data.source)
    name = config.evaluation.metric
    uses_network, needs_labels = METRICS[name].uses_network, METRICS[name].needs_labels
    require(
        not needs_labels or images.train_labels is not None,
        f"--metric {name} needs classes, one subfolder each, and --data {config.data.source} has none; "
        "choose another metric",
    )
    if not uses_network and not needs_labels:
        return None
    if torch.cuda.device_count() == 0:  # which asks the driver library, without opening a GPU
        metric = metric_of_run(config, images, device="cpu")
    elif uses_network:
        metric = _try_on_few(config.evaluation, config, images)
    else:  # a classifier cannot be trained on a few
        return None
    return metric.network if isinstance(metric, (FeatureDistance, ModesMetric)) else None


def check_same_network(begun_with: object, network: str | None, metric: str) -> None:
    """Raise `ConfigError` when a run would be resumed with another network to measure it than it began with.

    begun_with: what `prepare_metric` returned then; None in a run of an earlier version. metric: its name in
    tables.
    """
    require(
        begun_with is None or begun_with == network,
        f"{metric} would be measured by {network} instead of {begun_with}, so that values before and after "
        "do not compare; put the earlier weights or version of artsweep back, or start anew under another "
        "--name",
    )


def check_second_metric(config: GanConfig, images: Images) -> None:
    """Check before a sweep starts that its best states can be measured by a second network in the end.

    Raises: ConfigError as `build_metric`.
    """
    second = config.evaluation.by_second_network(LEAST_IMAGES)
    if second is not None:
        _try_on_few(second, config, images)


def _try_on_few(evaluation: EvaluationConfig, config: GanConfig, images: Images) -> PreparedMetric:
    """Prepare a metric from a few of the real images, on the CPU, to find what is wrong with it."""
    real = real_images(config, images, torch.device("cpu"))
    few = dataclasses.replace(
        real,
        held_out=evenly(real.held_out, LEAST_IMAGES),
        train=evenly(real.train, LEAST_IMAGES),
        fingerprint=None,
        cache=None,
        classes=None,
    )
    return build_metric(evaluation, few)
