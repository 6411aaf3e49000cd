"""The terms of the objective: content, style and total variation.

A new term is a subclass of `LossTerm` and one entry in `loss_terms`. Every term is a mean or a ratio over the
part of the picture where styles go, so that its weight means the same for every network, size and mask.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.config import StyleConfig, VariationName
from styletransfer.transfer.features import Features, at_tap, places, position_weights, weights_within
from styletransfer.transfer.moments import Moments, exactly, moments
from styletransfer.transfer.statistics import STATISTICS
from styletransfer.transfer.targets import ScaleTargets
from styletransfer.transfer.tiles import Tile

_TINY = 1e-12
HUBER_STEP = 0.05
"""Difference between neighbours, of 1, up to which Huber's variation is quadratic."""
FULL_AREA_PX = 128 * 96
"""Area of a picture from which on the style has its full weight."""

Losses = dict[str, float]
"""The value of each term by name, without its weight, and their weighted sum as `total`."""


def mean_losses(losses: Sequence[Losses]) -> Losses:
    """The mean of each term over several pictures."""
    return {name: sum(each[name] for each in losses) / len(losses) for name in losses[0]}


class LossTerm:
    """One term of the objective: a value per picture, which is multiplied by `weight`.

    A term is computed from sums over pixels and over positions of features. Features arrive tile by tile, and
    the sums of all tiles are added up before `value` is called, so that tiles do not change the result.
    """

    name: str
    weight: float | Tensor
    """One for all pictures, or (N or 1,)."""

    def pixel_sums(self, pictures: Tensor) -> list[Tensor]:
        """What the term needs from the pixels of pictures (N, C, H, W)."""
        return []

    def tile_sums(self, features: Features, tile: Tile) -> list[Tensor]:
        """What the term needs from features (N, C, h, w) by tap; `tile` is their place in the picture."""
        return []

    def value(self, sums: Sequence[Tensor]) -> Tensor:
        """(N,): the term, from its pixel sums followed by its tile sums; by default their only one."""
        (only,) = sums
        return only


def style_share(size: tuple[int, int], masks: Tensor | None) -> Tensor | float:
    """What `style_weight` is multiplied by, (N or 1,) or a number in (0, 1], for pictures of this final size.

    The fewer positions a picture has, the more exactly statistics of them describe a single picture: at full
    weight nothing of a content of 32 pixels is left. So the weight falls with the area in which styles go
    where that is below `FULL_AREA_PX`; measured in `benchmarks/style_sizes.py`. size: (height, width); masks:
    (N or 1, K, *size).
    """
    if masks is None:
        return min(1.0, size[0] * size[1] / FULL_AREA_PX)
    return (masks.sum(dim=1).clamp(0, 1).sum(dim=(1, 2)) / FULL_AREA_PX).clamp(0, 1)


def loss_terms(
    config: StyleConfig,
    targets: ScaleTargets,
    *,
    size: tuple[int, int],
    masks: Tensor | None,
    share: Tensor | float = 1.0,
) -> list[LossTerm]:
    """The terms of the objective at one scale.

    size: (height, width) of the pictures as the network is given them. masks: (N or 1, K, *size), where each
    style goes, from 0, nowhere, to 1; None: everywhere. Where none goes, no term counts. share: that of
    `style_share` at the final size.
    """
    region = None if masks is None else masks.sum(dim=1, keepdim=True).clamp(0, 1)
    return [
        ContentLoss(config, targets, region=region),
        StyleLoss(config, targets, size=size, masks=masks, share=share),
        VariationLoss(config, region=region),
    ]


class ContentLoss(LossTerm):
    """Distance from the features of the content picture, the mean over layers by their weights."""

    name = "content"

    def __init__(self, config: StyleConfig, targets: ScaleTargets, *, region: Tensor | None = None) -> None:
        self.weight = config.content_weight
        self._layers = {
            tap: (
                share,
                FeatureDistance(targets.content[tap], None if region is None else at_tap(tap, region)),
            )
            for tap, share in config.layer_shares("content").items()
        }

    def tile_sums(self, features: Features, tile: Tile) -> list[Tensor]:
        parts = []
        for tap, (share, distance) in self._layers.items():
            rows, columns = places(tile, tap)
            parts.append(share * distance(features[tap], rows.start, columns.start))
        return [sum(parts[1:], start=parts[0])]


class FeatureDistance:
    """Squared distance of features from a target, over the sum of its squares; 0 at the target.

    Gatys et al. 2016, section 2.1, relative to the target, as the style distances are. target: (N, C, H, W).
    weights: of the positions in both sums, (N or 1, 1, H, W); default: equal.
    """

    def __init__(self, target: Tensor, weights: Tensor | None = None) -> None:
        self._target, self._weights = target, weights
        energy = exactly(target).square()
        energy = energy if weights is None else energy * weights
        self._energy = energy.sum(dim=(1, 2, 3)).clamp_min(_TINY)

    def __call__(self, features: Tensor, top: int = 0, left: int = 0) -> Tensor:
        """(N,): the part of the distance that features (N, C, h, w), cut out at (top, left), contribute."""
        rows, columns = slice(top, top + features.shape[2]), slice(left, left + features.shape[3])
        squares = (exactly(features) - exactly(self._target[:, :, rows, columns])).square()
        if self._weights is not None:
            squares = squares * self._weights[:, :, rows, columns]
        return squares.sum(dim=(1, 2, 3)) / self._energy


class StyleLoss(LossTerm):
    """Distance from the statistics of the styles, the mean over layers and styles by their weights.

    A style's weight is multiplied by the area of its mask, so that all pull equally hard at each pixel.
    """

    name = "style"

    def __init__(
        self,
        config: StyleConfig,
        targets: ScaleTargets,
        *,
        size: tuple[int, int],
        masks: Tensor | None,
        share: Tensor | float = 1.0,
    ) -> None:
        self.weight = config.style_weight * share
        self._shares = config.layer_shares("style")
        statistic = STATISTICS[config.statistics]
        self._distances = {tap: statistic(targets.styles[tap]) for tap in self._shares}
        some = next(iter(targets.styles.values())).mean
        self._blend = some.new_tensor(config.blend(targets.num_styles))
        if masks is not None:
            shares = self._blend * masks.mean(dim=(2, 3))
            self._blend = shares / shares.sum(dim=1, keepdim=True).clamp_min(_TINY)
        self._position_weights = {tap: position_weights(tap, size, masks) for tap in self._shares}

    def tile_sums(self, features: Features, tile: Tile) -> list[Tensor]:
        sums: list[Tensor] = []
        for tap, weights in self._position_weights.items():
            sums += moments(features[tap], weights_within(weights, tile, tap))
        return sums

    def value(self, sums: Sequence[Tensor]) -> Tensor:
        found = [Moments(mean, second) for mean, second in zip(sums[::2], sums[1::2], strict=True)]
        parts = [
            share * self._distances[tap](each)
            for (tap, share), each in zip(self._shares.items(), found, strict=True)
        ]
        return (torch.stack(parts).sum(dim=0) * self._blend).sum(dim=1)


class VariationLoss(LossTerm):
    """Total variation of the pixels."""

    name = "variation"

    def __init__(self, config: StyleConfig, *, region: Tensor | None = None) -> None:
        self.weight, self._kind, self._region = config.tv_weight, config.tv, region

    def pixel_sums(self, pictures: Tensor) -> list[Tensor]:
        height, width = pictures.shape[2:]
        region = None if self._region is None else self._region[:, :, :height, :width]  # without padding
        return [total_variation(pictures, self._kind, region)]


def total_variation(pictures: Tensor, kind: VariationName, region: Tensor | None = None) -> Tensor:
    """(N,): mean over the differences between neighbours down, plus the same across; pictures (N, C, H, W).

    l2: their squares (Mahendran and Vedaldi 2015 with exponent 2); l1: their absolute values (Rudin et al.
    1992, anisotropic); huber: squares up to HUBER_STEP, then absolute values, with the slope of l1 and the
    value 0 at 0. A picture of one row has no differences down: they count as 0. region: weights of the
    pixels, (N or 1, 1, H, W); a difference has the lesser of its two.
    """
    penalty = _PENALTIES[kind]
    total = pictures.new_zeros(len(pictures))
    for dim in (2, 3):
        penalties = penalty(_differences(pictures, dim))
        if region is None:
            total = total + penalties.sum(dim=(1, 2, 3)) / max(1, penalties[0].numel())
        else:
            before, after = _neighbours(region, dim)
            weights = torch.minimum(before, after)
            count = weights.sum(dim=(1, 2, 3)) * pictures.shape[1]
            total = total + (penalties * weights).sum(dim=(1, 2, 3)) / count.clamp_min(_TINY)
    return total


def _neighbours(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """All but the last along a dimension, and all but the first."""
    length = values.shape[dim] - 1
    return values.narrow(dim, 0, length), values.narrow(dim, 1, length)


def _differences(pictures: Tensor, dim: int) -> Tensor:
    before, after = _neighbours(pictures, dim)
    return after - before


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
