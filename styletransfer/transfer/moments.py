"""First and second moments of features over a picture, as sums that can be added up tile by tile."""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """Moments of N pictures under K weightings of their positions, one per style.

    mean: (N, K, C). second: (N, K, C, C), the mean of the outer products.
    """

    mean: Tensor
    second: Tensor

    def __add__(self, other: tuple[Tensor, ...]) -> "Moments":  # type: ignore[override]
        """The moments of both parts together; not the concatenation that tuples do."""
        return Moments(self.mean + other[0], self.second + other[1])

    def on_cpu(self) -> "Moments":
        """The same in float64 on the CPU."""
        return Moments(self.mean.to("cpu", torch.float64), self.second.to("cpu", torch.float64))


def moments(features: Tensor, weights: Tensor | float | None = None) -> Moments:
    """Weighted first and second moments over positions, computed in float32 or better.

    features: (N, C, H, W). weights: of the positions, (N or 1, K, H, W), or one number for all positions
    (K = 1); default: the mean over positions. They need not sum to 1: a tile contributes a part of the sums.
    """
    if weights is None:
        weights = 1 / max(1, features.shape[2] * features.shape[3])
    points = features.permute(0, 2, 3, 1).flatten(1, 2)  # no copy where the features are channels_last
    shares = weights.flatten(2) if isinstance(weights, Tensor) else weights
    return Moments(*_Moments.apply(points, shares))


def exactly(features: Tensor) -> Tensor:
    """The same values in float32, or in float64 if they are."""
    return features if features.dtype == torch.float64 else features.float()


class _Moments(torch.autograd.Function):
    """Moments of points (N, P, C), with half the multiplications of autograd's backward pass.

    The gradient has the features' dtype: in a network in bf16 it would become bf16 anyway.
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
