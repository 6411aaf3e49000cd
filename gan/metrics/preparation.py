"""The metric of a run with its real images prepared, once a process and ahead of the workers."""

import collections

import torch

from gan.config import EvaluationConfig, GanConfig
from gan.data.cache import cache_folder
from gan.data.images import Images
from gan.metrics.named import METRICS, PreparedMetric
from gan.metrics.reference import RealImages, check_sizes

_KEPT = 2  # a process rarely meets more than one data set; the real images of a metric may take 100 MiB

_prepared: collections.OrderedDict[tuple[object, ...], PreparedMetric] = collections.OrderedDict()


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
    real = RealImages(
        held_out=images.held_out,
        train=images.train,
        seed=config.data.data_seed,  # not the run's seed: trials of a sweep are compared by the metric
        device=torch.device(device),
        fingerprint=images.fingerprint,
        cache=cache_folder(config.data),
    )
    return build_metric(config.evaluation, real)


def prepare_metric(config: GanConfig, images: Images) -> None:
    """Check before training starts that the run's quality can be measured, and fill the workers' cache.

    Raises: ConfigError as `build_metric`.
    """
    check_sizes(len(images.train), len(images.held_out), config.data.source)
    if METRICS[config.evaluation.metric].uses_network:
        metric_of_run(config, images, device="cuda" if torch.cuda.is_available() else "cpu")
