"""What of a sweep is checked once its images are known, before Ray starts."""

import dataclasses

from common.cluster.placement import free_memory_bytes
from common.cluster.session import local_nodes
from gan.config import GanConfig
from gan.costs.fitting import check_fits
from gan.data.images import Images
from gan.metrics.few import check_sizes
from gan.metrics.preparation import check_second_metric, prepare_metric
from gan.networks import family_of
from tune.config import SweepConfig
from tune.space.acceptance import extreme_values
from tune.space.space import Space
from tune.worker_groups import capacity


def check_images(images: Images, config: GanConfig, space: Space) -> str | None:
    """What identifies the metric's network; see `prepare_metric`."""
    check_sizes(len(images.train), len(images.held_out), config.data.source)  # first: no batch helps
    if "batch" in space:
        largest = int(max(space["batch"].extremes()))
        images.check_batch(largest, flag="batch in the --space", remedy="lower its values")
    else:
        images.check_batch(config.batch)
    family_of(config.network, config.data.resolution)  # refuses what the family does not support
    network = prepare_metric(config, images)
    check_second_metric(config, images)
    return network


def check_memory(images: Images, config: SweepConfig, space: Space) -> None:
    """Raise `ConfigError` when a trial cannot fit into this machine's memory, or the base settings as often
    as trials train at once."""
    capacity_here = capacity.plan(config, local_nodes())
    if capacity_here.gpus:
        return
    workers, groups, free = capacity_here.num_workers, capacity_here.groups, free_memory_bytes()
    extremes = (config.gan.with_searched(values) for values in extreme_values(space))
    # most of them differ in rates alone, and an estimate may take seconds
    for largest in dict.fromkeys(
        dataclasses.replace(each, optimizer=config.gan.optimizer) for each in extremes
    ):
        remedy = "lower the highest values in the --space, or take the family out"
        check_fits(largest, channels=images.channels, free=free, workers=workers, remedy=remedy)
    if groups > 1:
        remedy = f"for each of {groups} trials at once; try --concurrent 1, or a smaller --batch"
        check_fits(config.gan, channels=images.channels, free=free // groups, workers=workers, remedy=remedy)
