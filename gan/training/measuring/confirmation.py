"""Measures a generator again that was chosen by its ticks' values, so that luck in them does not count."""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from gan.config import GanConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.metrics.preparation import metric_of_run

MeasuredAgain = tuple[str, float, float]
"""A metric's name with its protocol, its value and its noise floor."""


def measured_again(
    config: GanConfig,
    images: Images,
    sample: Callable[[int, slice], Tensor],
    *,
    ranks: Ranks,
    device: torch.device,
) -> list[MeasuredAgain]:
    """A generator's values on fresh latents, more of them, and against held-out images unseen by its ticks.

    sample: makes, of a number of samples, those of a part: uint8 (N, H, W, C).

    Returns: what the run's own metric says, then what the metric of its second network says of the same
    samples, if it has one; the same on every rank.
    """
    evaluation = config.evaluation.for_confirmation()
    metric = metric_of_run(dataclasses.replace(config, evaluation=evaluation), images, device=device)
    metrics, second = [metric], evaluation.by_second_network(metric.num_images)
    if second is not None:
        metrics.append(metric_of_run(dataclasses.replace(config, evaluation=second), images, device=device))
    found, made = list[MeasuredAgain](), dict[tuple[int, int, int], Tensor]()
    for metric in metrics:
        part = metric.share(ranks)
        key = metric.num_images, part.start, part.stop
        if key not in made:
            made[key] = sample(metric.num_images, part)
        found.append((metric.name, metric.distance(made[key], ranks), metric.noise_floor))
    return found
