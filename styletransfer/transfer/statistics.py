"""Statistics of features over a picture and two distances between them; not which features nor what is
done with a distance.

Both distances rest on the first and second moments alone. These are weighted sums over positions, so a
picture may be looked at tile by tile and the sums added.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from styletransfer.config import StatisticsName

_RIDGE = 1e-4  # added to both covariances, as a share of the target's mean square per channel
_TINY = 1e-12  # a style whose features are all zero must not divide by zero


class Moments(NamedTuple):
    """mean: (N, K, C), second: (N, K, C, C), the mean of the outer products; K weightings of N pictures."""

    mean: Tensor
    second: Tensor

    def __add__(self, other: tuple[Tensor, ...]) -> "Moments":  # type: ignore[override]
        """The moments of both parts together; a tuple would be made longer."""
        return Moments(self.mean + other[0], self.second + other[1])

    def double(self) -> "Moments":
        """The same in float64."""
        return Moments(self.mean.double(), self.second.double())


def moments(features: Tensor, weights: Tensor | float | None = None) -> Moments:
    """Weighted first and second moments over positions, computed in float32 or better.

    features: (N, C, H, W). weights: (N or 1, K, H, W), what each position counts for; or one number for all
    positions (K = 1); default: their mean. They need not sum to 1: a tile's sums are a part of the picture's.
    """
    if weights is None:
        weights = 1 / max(1, features.shape[2] * features.shape[3])
    points = features.permute(0, 2, 3, 1).flatten(1, 2)  # no copy where the features are channels_last
    shares = weights.flatten(2) if isinstance(weights, Tensor) else weights
    return Moments(*_Moments.apply(points, shares))


def exactly(features: Tensor) -> Tensor:
    """The same in at least float32."""
    return features if features.dtype == torch.float64 else features.float()


class _Moments(torch.autograd.Function):
    """Moments of points (N, P, C), with half the multiplications that autograd would make on the way back.

    The gradient has the features' own type: what goes back through a network in bf16 is bf16 anyway.
    """

    @staticmethod
    def forward(ctx: Any, points: Tensor, weights: Tensor | float) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.weights = weights
        ctx.save_for_backward(points)
        exact = exactly(points)
        if not isinstance(weights, Tensor):
            mean = exact.sum(dim=1, keepdim=True).mul_(weights)
            return mean, (exact.transpose(1, 2) @ exact).mul_(weights).unsqueeze(1)
        weights = weights.to(exact.dtype)
        second = [exact.transpose(1, 2) @ (exact * share.unsqueeze(-1)) for share in weights.unbind(dim=1)]
        return weights @ exact, torch.stack(second, dim=1)

    @staticmethod
    def backward(ctx: Any, to_mean: Tensor | None, to_second: Tensor | None) -> tuple[Tensor | None, None]:
        (points,) = ctx.saved_tensors
        weights = ctx.weights
        total: Tensor | None = None
        if to_second is not None:
            both = (to_second + to_second.transpose(2, 3)).to(points.dtype)
            for index, part in enumerate(both.unbind(dim=1)):
                gradient = points @ part
                gradient.mul_(
                    weights[:, index].unsqueeze(-1).to(points.dtype)
                    if isinstance(weights, Tensor)
                    else weights
                )
                total = gradient if total is None else total.add_(gradient)
        if to_mean is not None:
            if isinstance(weights, Tensor):
                gradient = weights.to(to_mean.dtype).transpose(1, 2) @ to_mean
            else:
                gradient = to_mean * weights
            total = gradient.to(points.dtype).expand_as(points) if total is None else total + gradient
        return None if total is None else total.to(points.dtype), None


Distance = Callable[[Moments], Tensor]
"""From moments (N, K, ...) to what they differ by from the target's, (N, K)."""


def gram_distance(target: Moments) -> Distance:
    """Squared Frobenius distance of Gram matrices over the squared norm of the target's.

    Gatys et al. 2016, section 2.2, with one departure: relative to the target, so that a distance of 1 is
    that of an empty picture at every layer, network and size.
    """
    energy = target.second.square().sum(dim=(2, 3)).clamp_min(_TINY)

    def distance(found: Moments) -> Tensor:
        return (found.second - target.second).square().sum(dim=(2, 3)) / energy

    return distance


def wasserstein_distance(target: Moments) -> Distance:
    """Squared 2-Wasserstein distance between Gaussians of these moments over the target's mean square.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C2^1/2 C1 C2^1/2)^1/2), Dowson and Landau 1982. Both covariances get a small
    ridge: a picture with fewer positions than channels has a singular one, at which the root has no gradient.
    In float64: near the target little is left of the difference of traces.
    """
    unit, target = target.mean.dtype, target.double()
    mean_square = _trace(target.second).clamp_min(_TINY)
    ridge = (_RIDGE / target.second.shape[-1]) * mean_square
    target_covariance = _covariance(target, ridge)
    root = _square_root(target_covariance)
    target_trace = _trace(target_covariance)

    def distance(found: Moments) -> Tensor:
        found = found.double()
        covariance = _covariance(found, ridge)
        # the gradient of eigenvalues alone is defined also where two of them are equal
        between = torch.linalg.eigvalsh(root @ covariance @ root)
        floor = (ridge * ridge).unsqueeze(-1)
        cross = torch.maximum(between, floor).sqrt().sum(dim=-1)
        between_means = (found.mean - target.mean).square().sum(dim=-1)
        return ((between_means + _trace(covariance) + target_trace - 2 * cross) / mean_square).to(unit)

    return distance


DISTANCES: dict[StatisticsName, Callable[[Moments], Distance]] = {
    "gram": gram_distance,
    "wasserstein": wasserstein_distance,
}


def _trace(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=-2, dim2=-1).sum(dim=-1)


def _covariance(found: Moments, ridge: Tensor) -> Tensor:
    outer = found.mean.unsqueeze(-1) * found.mean.unsqueeze(-2)
    identity = torch.eye(outer.shape[-1], dtype=outer.dtype, device=outer.device)
    return found.second - outer + ridge[..., None, None] * identity


def _square_root(matrices: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrices)
    root: Tensor = (vectors * values.clamp_min(0).sqrt().unsqueeze(-2)) @ vectors.transpose(-1, -2)
    return root
