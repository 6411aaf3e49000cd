"""Distances between two sets of features as plain functions: Fréchet and kernel; not whose, nor how often.

torch-fidelity 0.4 has both on features, but not as a metric of every tick needs them; the functions say why.
Features are floats (N, D) on any device.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch

from common.errors import ConfigError, require
from gan.metrics.kid import CrossSums, KernelSet, cross_sums, kernel_set
from perceptual.feature_vectors import BLOCK, check_comparable, check_features, in_float64


@dataclasses.dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """How many vectors, their mean and their covariance: all of a set that the Fréchet distance looks at."""

    count: int
    mean: torch.Tensor
    """float64 (D,) on the CPU."""
    covariance: torch.Tensor
    """float64 (D, D) on the CPU, divided by count - 1; 0 for a single vector."""

    @classmethod
    def from_features(cls, features: torch.Tensor) -> "GaussianStatistics":
        """Statistics of features (N, D), N >= 1.

        Raises: ConfigError for none, another shape, NaN or infinity.
        """
        check_features(features, "features")
        return cls.merged(_of_block(in_float64(block)) for block in features.split(BLOCK))

    @classmethod
    def merged(cls, parts: Iterable["GaussianStatistics"]) -> "GaussianStatistics":
        """Statistics of all vectors of the parts; a part is needed only until the next one comes.

        So `merged(GaussianStatistics.from_features(batch) for batch in batches)` needs no more memory than
        one batch. Chan, Golub and LeVeque 1983.

        Raises: ConfigError for no part at all or vectors of different lengths.
        """
        count, mean, scatter = 0, torch.zeros(()), torch.zeros(())
        for part in parts:
            if count == 0:
                count, mean, scatter = part.count, part.mean, part.covariance * (part.count - 1)
                continue
            check_comparable(mean, part.mean)
            total, apart = count + part.count, part.mean - mean
            scatter = scatter + part.covariance * (part.count - 1)
            scatter.addr_(apart, apart, alpha=count * part.count / total)
            count, mean = total, mean + apart * (part.count / total)
        require(count > 0, "statistics need at least 1 feature vector, not 0; take more images")
        return cls(count, mean, scatter / max(1, count - 1))

    def to_sums(self, centre: torch.Tensor) -> torch.Tensor:
        """What ranks may add up, float64 (1 + D + D * D,): count and moments about a centre that all share.

        centre: (D,); the nearer to the mean, the less is lost to rounding: a reference's mean serves.
        """
        apart = self.mean - centre
        second = self.covariance * (self.count - 1) + self.count * apart.outer(apart)
        count = torch.tensor([self.count], dtype=torch.float64)
        return torch.cat([count, self.count * apart, second.flatten()])

    @classmethod
    def from_sums(cls, sums: torch.Tensor, centre: torch.Tensor) -> "GaussianStatistics":
        """Statistics of all vectors whose `to_sums(centre)` were added up; at least one."""
        count, first, second = sums.split([1, len(centre), len(centre) ** 2])
        apart = first / count
        scatter = second.view(len(centre), -1) - count * apart.outer(apart)
        return cls(int(count), centre + apart, scatter / max(1, int(count) - 1))

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """The three fields by name, as a file of tensors keeps them."""
        return {"count": torch.tensor([self.count]), "mean": self.mean, "covariance": self.covariance}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> "GaussianStatistics":
        """What `to_tensors` gave, from a file that may be damaged.

        Raises: ConfigError when a field is missing, of another shape or type, or not finite.
        """
        try:
            count, mean, covariance = (tensors[name] for name in ("count", "mean", "covariance"))
        except KeyError as missing:
            raise ConfigError(f"statistics of features lack {missing}; compute them anew") from None
        shapes = [tuple(tensor.shape) for tensor in (count, mean, covariance)]
        require(
            mean.ndim == 1
            and mean.dtype == covariance.dtype == torch.float64
            and count.dtype == torch.int64
            and shapes == [(1,), (len(mean),), (len(mean), len(mean))]
            and int(count) > 0
            and bool(mean.isfinite().all() and covariance.isfinite().all()),
            "statistics of features must be a count and finite float64 of shapes (D,) and (D, D), "
            f"not {shapes}; compute them anew",
        )
        return cls(int(count), mean, covariance)

    @functools.cached_property
    def factor(self) -> torch.Tensor:
        """float64 (D, rank) whose product with its own transpose is the covariance; computed once.

        Eigenvalues below D times the rounding error of the largest are rounding, and left out.
        """
        eigenvalues, vectors = torch.linalg.eigh(self.covariance)
        smallest = len(self.mean) * torch.finfo(torch.float64).eps * eigenvalues[-1]
        kept = eigenvalues > smallest
        factor: torch.Tensor = vectors[:, kept] * eigenvalues[kept].sqrt()
        return factor


def _of_block(vectors: torch.Tensor) -> GaussianStatistics:
    mean = vectors.mean(dim=0)
    centred = vectors - mean
    covariance = centred.T @ centred / max(1, len(vectors) - 1)
    return GaussianStatistics(len(vectors), mean.cpu(), covariance.cpu())


def frechet_distance(first: GaussianStatistics, second: GaussianStatistics) -> float:
    """Squared Fréchet distance of two Gaussians: |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)); never negative.

    Heusel et al. 2017, section 4; equal sets are at 0 up to rounding (1e-15 of the covariances' traces). The
    value falls with the number of vectors, so it compares only for equal counts (Chong and Forsyth 2020).
    Constant features have covariance 0 and a distance like any others.

    The trace of (C C')^(1/2) is the sum of the singular values of F^T F' for C = F F^T and C' = F' F'^T.
    A square root of the product itself, as published, or the product's eigenvalues, as in torch-fidelity,
    take longer, cannot remember a reference's part, and turn a rounding error of 1e-16 into 1e-8 for each
    eigenvalue that should be 0: with fewer vectors than dimensions, equal sets came out below 0.

    Raises: ConfigError for fewer than 2 vectors in a set, or vectors of different lengths.
    """
    fewest = min(first.count, second.count)
    require(
        fewest >= 2, f"the Fréchet distance needs at least 2 vectors a set, not {fewest}; take more images"
    )
    check_comparable(first.mean, second.mean)
    between = float((first.mean - second.mean).square().sum())
    if first.factor.shape[1] == 0 or second.factor.shape[1] == 0:
        shared = 0.0
    else:
        shared = float(torch.linalg.svdvals(first.factor.T @ second.factor).sum())
    traces = float(first.covariance.trace() + second.covariance.trace())
    return max(0.0, between + traces - 2 * shared)


class KernelDistance(NamedTuple):
    """Unbiased squared maximum mean discrepancy, which may be below 0, and its standard error."""

    value: float
    standard_error: float


def kernel_distance(real: torch.Tensor | KernelSet, generated: torch.Tensor | KernelSet) -> KernelDistance:
    """Kernel distance (KID) over all pairs: unbiased MMD^2 with the kernel (x.y / D + 1)^3.

    Binkowski et al. 2018, section 4, with one departure: the exact U-statistic over both whole sets instead
    of the mean over 100 random subsets of 1000. Those, torch-fidelity's way, take longer up to 5000 vectors,
    and leave out pairs, which adds noise. The expected value depends on no number of vectors.

    The standard error is over both samples: the Hoeffding terms of first order (Sutherland et al. 2017,
    section 2) and of second order, which are all that is left between sets of one distribution; there it is
    some 10 % too large, since the first order is not let below 0.

    Raises: ConfigError for fewer than 4 vectors in a set, vectors of different lengths, NaN, infinity, or
    features so large that their sixth powers overflow.
    """
    x = real if isinstance(real, KernelSet) else kernel_set(real, "real features")
    y = generated if isinstance(generated, KernelSet) else kernel_set(generated, "generated features")
    check_comparable(x.features, y.features)
    cross = cross_sums(x.features, y.features)
    value = float(x.mean() + y.mean() - 2 * cross.over_second.mean() / len(y.features))
    standard_error = _standard_error(x, y, cross)
    require(
        math.isfinite(value) and math.isfinite(standard_error),
        "features are too large for the kernel distance, whose cubes and squares overflow; check the weights",
    )
    return KernelDistance(value, standard_error)


def _standard_error(x: KernelSet, y: KernelSet, cross: CrossSums) -> float:
    m, n = len(x.features), len(y.features)
    second = 2 / (m * (m - 1)) * x.centred_square() + 2 / (n * (n - 1)) * y.centred_square()
    second += 4 / (m * n) * cross.centred_square()
    # the spread of means over the other vectors holds the terms of second order once too often
    both = 4 / m * (x.row_means() - cross.over_second / n).var()
    both += 4 / n * (y.row_means() - cross.over_first / m).var() - second
    return math.sqrt(float(torch.maximum(both, second)))
