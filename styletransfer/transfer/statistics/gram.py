"""Gram matrices (Gatys et al. 2016)."""

from torch import Tensor

from styletransfer.transfer.moments import Moments
from styletransfer.transfer.statistics import Distance

_TINY = 1e-12  # a style whose features are all zero must not divide by zero


def gram_distance(target: Moments) -> Distance:
    """Squared Frobenius distance of Gram matrices over the squared norm of the target's.

    Gatys et al. 2016, section 2.2, with one departure: relative to the target, so that an empty picture has
    distance 1 at every layer, network and size.
    """
    energy = target.second.square().sum(dim=(2, 3)).clamp_min(_TINY)

    def distance(found: Moments) -> Tensor:
        return (found.second - target.second).square().sum(dim=(2, 3)) / energy

    return distance


STATISTIC = gram_distance
