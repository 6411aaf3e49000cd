"""Wasserstein distance of Gaussians with the features' means and covariances."""

import torch
from torch import Tensor

from common.decompositions import eigenvalues, eigh
from styletransfer.transfer.moments import Moments
from styletransfer.transfer.statistics import Distance

_RIDGE = 1e-4  # added to both covariances, as a share of the target's mean square per channel
_TINY = 1e-12  # a style whose features are all zero must not divide by zero


def wasserstein_distance(target: Moments) -> Distance:
    """Squared 2-Wasserstein distance between Gaussians of these moments over the target's mean square.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C2^1/2 C1 C2^1/2)^1/2), Dowson and Landau 1982. Both covariances get a small
    ridge: a picture with fewer positions than channels has a singular one, at which the root has no gradient.
    In float64: near the target the traces cancel almost completely. On the CPU wherever the pictures are: a
    GPU decomposes such small matrices in many short kernels, and many have little float64.
    """
    like, target = target.mean, target.on_cpu()
    mean_square = _trace(target.second).clamp_min(_TINY)
    ridge = (_RIDGE / target.second.shape[-1]) * mean_square
    target_covariance = _covariance(target, ridge)
    root = _square_root(target_covariance)
    target_trace = _trace(target_covariance)

    def distance(found: Moments) -> Tensor:
        found = found.on_cpu()
        covariance = _covariance(found, ridge)
        # the gradient of eigenvalues alone is defined also where two of them are equal
        between = eigenvalues(root @ covariance @ root)
        floor = (ridge * ridge).unsqueeze(-1)
        cross = torch.maximum(between, floor).sqrt().sum(dim=-1)
        between_means = (found.mean - target.mean).square().sum(dim=-1)
        value = (between_means + _trace(covariance) + target_trace - 2 * cross) / mean_square
        return value.to(like.device, like.dtype)

    return distance


STATISTIC = wasserstein_distance


def _trace(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=-2, dim2=-1).sum(dim=-1)


def _covariance(found: Moments, ridge: Tensor) -> Tensor:
    outer = found.mean.unsqueeze(-1) * found.mean.unsqueeze(-2)
    identity = torch.eye(outer.shape[-1], dtype=outer.dtype, device=outer.device)
    return found.second - outer + ridge[..., None, None] * identity


def _square_root(matrices: Tensor) -> Tensor:
    values, vectors = eigh(matrices)
    root: Tensor = (vectors * values.clamp_min(0).sqrt().unsqueeze(-2)) @ vectors.transpose(-1, -2)
    return root
