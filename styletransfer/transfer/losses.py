"""Terms of the objective that rest on pixels or on features place by place; style is in `statistics`.

Every term is a mean or a ratio, so that its weight means the same for every network and size.
"""

import dataclasses
from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from styletransfer.config import VariationName
from styletransfer.transfer.statistics import exactly

_TINY = 1e-12
HUBER_STEP = 0.05
"""Difference between neighbours, of 1, up to which Huber's variation is quadratic."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Losses:
    """The terms as they are, without their weights, and the weighted sum."""

    content: float
    style: float
    variation: float
    total: float


_TERMS = tuple(field.name for field in dataclasses.fields(Losses))


def mean_losses(losses: Sequence[Losses]) -> Losses:
    """The mean of each term over several pictures."""
    sums = zip(*(dataclasses.astuple(each) for each in losses), strict=True)
    return Losses(**dict(zip(_TERMS, (sum(values) / len(losses) for values in sums), strict=True)))


class ContentLoss:
    """Squared distance of features from a picture's own, over the sum of their squares; 0 at the picture.

    Gatys et al. 2016, section 2.1, relative to the target, as the style distances are. target: (N, C, H, W).
    """

    def __init__(self, target: Tensor) -> None:
        self._target = target
        self._energy = exactly(target).square().sum(dim=(1, 2, 3)).clamp_min(_TINY)

    def __call__(self, features: Tensor, top: int = 0, left: int = 0) -> Tensor:
        """(N,): the part of the loss that features (N, C, h, w), cut out at (top, left), contribute."""
        height, width = features.shape[2:]
        target = self._target[:, :, top : top + height, left : left + width]
        return (exactly(features) - exactly(target)).square().sum(dim=(1, 2, 3)) / self._energy


def total_variation(pictures: Tensor, kind: VariationName) -> Tensor:
    """(N,): mean over the differences between neighbours down, plus the same across; pictures (N, C, H, W).

    l2: their squares (Mahendran and Vedaldi 2015 with exponent 2); l1: their amounts (Rudin et al. 1992,
    anisotropic); huber: squares up to HUBER_STEP, then amounts, with the slope of l1 and the value 0 at 0.
    A picture of one row has no differences down: they count as 0.
    """
    down = pictures[:, :, 1:] - pictures[:, :, :-1]
    across = pictures[:, :, :, 1:] - pictures[:, :, :, :-1]
    penalty = _PENALTIES[kind]
    return sum(
        (
            penalty(difference).sum(dim=(1, 2, 3)) / max(1, difference[0].numel())
            for difference in (down, across)
        ),
        start=pictures.new_zeros(len(pictures)),
    )


def _huber(difference: Tensor) -> Tensor:
    return (
        F.huber_loss(
            difference, difference.new_zeros(()).expand_as(difference), reduction="none", delta=HUBER_STEP
        )
        / HUBER_STEP
    )


_PENALTIES: dict[VariationName, Callable[[Tensor], Tensor]] = {
    "l2": Tensor.square,
    "l1": Tensor.abs,
    "huber": _huber,
}
