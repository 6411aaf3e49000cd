"""How many real images a metric needs, and what it compares with where there are fewer than usual."""

import numpy as np
import torch

from common.errors import require
from gan.data.images import Array, every_second_picture

LEAST_IMAGES = 16
"""Fewest generated images that are measured, and fewest that are held out to be compared with."""
LEAST_REAL = 8
"""Fewest real images in each of the two sets that a metric is prepared from."""


def check_sizes(train: int, held_out: int, source: str) -> None:
    """Raise `ConfigError` unless there are enough images to measure a metric."""
    total = train + held_out
    require(
        total >= 2 * LEAST_REAL,
        f"--data {source} must hold at least {2 * LEAST_REAL} pictures, so that quality can be measured, "
        f"not {total}; give more pictures; --max-images, where it is given, leaves out all others",
    )
    most = total // 5
    require(
        held_out >= LEAST_IMAGES or most < LEAST_IMAGES,
        f"--held-out {held_out} leaves too few of the {total} pictures of {source} to measure against, "
        f"{LEAST_IMAGES} are needed; raise --held-out, to at most a fifth: {most}",
    )


def are_few(train: int, held_out: int) -> bool:
    """Whether so few pictures are held out that they cannot be compared with alone."""
    return min(train, held_out) < LEAST_IMAGES


def halves(held_out: Array, train: Array, crops: int = 1) -> tuple[Array, Array]:
    """All pictures in two halves that have none in common, each with both training and held-out ones.

    Of few pictures, generated ones are compared with the first half, and the second gives the noise floor:
    a fifth of 30 pictures would be 6, to which nothing can be compared. Most of the pictures are then ones
    that the generator has seen, as where FID is measured against a training set of few images (Karras et al.
    2020, "Training generative adversarial networks with limited data").

    crops: images from each picture, all of which are in one half.
    """
    both = (
        torch.cat([held_out, train])
        if isinstance(held_out, torch.Tensor)
        else np.concatenate([held_out, train])
    )
    return every_second_picture(both, 0, crops), every_second_picture(both, 1, crops)


def say_few(train: int, held_out: int) -> str | None:
    """A line about how few pictures are measured against; None where there are enough."""
    if not are_few(train, held_out):
        return None
    return (
        f"few pictures: {train} to train on, and {held_out} held out, to which generated ones cannot be "
        f"compared alone; the metrics compare with every second one of all {train + held_out}, and are noisy"
    )
