"""The metric of a run with its real images prepared, once a process and ahead of the workers."""

import collections
import dataclasses

import torch

from common.device import exact_float32
from common.errors import require
from gan.config import EvaluationConfig, GanConfig
from gan.data.cache import cache_folder
from gan.data.images import Images
from gan.metrics.feature_distance import FeatureDistance
from gan.metrics.few import LEAST_IMAGES, are_few, check_sizes, halves
from gan.metrics.named import METRICS, PreparedMetric
from gan.metrics.reference import RealImages, evenly

# every second one, so that both halves have all classes
HELD_OUT_PARTS = {"all": slice(None), "search": slice(0, None, 2), "confirmation": slice(1, None, 2)}
_KEPT = 2  # a process rarely meets more than one data set; the real images of a metric may take 100 MiB

_prepared: collections.OrderedDict[tuple[object, ...], PreparedMetric] = collections.OrderedDict()


@exact_float32()
def build_metric(config: EvaluationConfig, real: RealImages) -> PreparedMetric:
    """The metric that `config` names, prepared; the same object as before for an equal fingerprint.

    Raises: ConfigError for fewer than 16 images, for images that the metric cannot measure, and for missing
    weights of a network.
    """
    if real.fingerprint is None:
        return METRICS[config.metric].prepare(config, real)
    known = (config, real.fingerprint, real.seed, str(real.device))
    metric = _prepared.pop(known, None) or METRICS[config.metric].prepare(config, real)
    _prepared[known] = metric  # the last is the one used last
    while len(_prepared) > _KEPT:
        _prepared.popitem(last=False)
    return metric


def metric_of_run(config: GanConfig, images: Images, *, device: torch.device | str) -> PreparedMetric:
    """The metric with which a run of that configuration measures itself; see `build_metric`."""
    return build_metric(config.evaluation, real_images(config, images, torch.device(device)))


def real_images(config: GanConfig, images: Images, device: torch.device) -> RealImages:
    """What a run's metric is prepared from: held-out and training images, of few pictures two halves."""
    held_out, train, part = images.held_out, images.train, config.evaluation.held_out_part
    if are_few(len(train), len(held_out)):
        held_out, train = halves(held_out, train)
        part_name = "halves"
    elif len(held_out) < 2 * LEAST_IMAGES:  # too few to be divided
        part_name = "all"
    else:
        held_out, part_name = held_out[HELD_OUT_PARTS[part]], part
    return RealImages(
        held_out=held_out,
        train=train,
        seed=config.data.data_seed,  # not the run's seed: trials of a sweep are compared by the metric
        device=device,
        fingerprint=images.fingerprint if part_name == "all" else f"{images.fingerprint}-{part_name}",
        cache=cache_folder(config.data),
    )


def prepare_metric(config: GanConfig, images: Images) -> str | None:
    """Check before training starts that the run's quality can be measured, and fill the workers' cache.

    On a machine with GPUs the cache is left to the workers, each on its own GPU: a driver that opened one
    would keep some of its memory, and all of it where GPUs are set to be used by one process alone.

    Returns: what identifies the network with its weights, on whatever machine; None for a metric without.

    Raises: ConfigError as `build_metric`.
    """
    check_sizes(len(images.train), len(images.held_out), config.data.source)
    if not METRICS[config.evaluation.metric].uses_network:
        return None
    if torch.cuda.device_count() == 0:  # which asks the driver library, without opening a GPU
        metric = metric_of_run(config, images, device="cpu")
    else:
        real = real_images(config, images, torch.device("cpu"))
        few = dataclasses.replace(
            real,
            held_out=evenly(real.held_out, LEAST_IMAGES),
            train=evenly(real.train, LEAST_IMAGES),
            fingerprint=None,
            cache=None,
        )
        metric = build_metric(config.evaluation, few)
    return metric.network if isinstance(metric, FeatureDistance) else None


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
