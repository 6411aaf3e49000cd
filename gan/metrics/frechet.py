"""The Fréchet distance (FID) between two sets of features, floats (N, D) on any device.

torch-fidelity 0.4 has it too, but slower and less exact than a metric of every tick needs; `frechet_distance`
says why.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping

import torch

from common.errors import ConfigError, require
from perceptual.feature_vectors import BLOCK, check_comparable, check_features, in_float64


@dataclasses.dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """Number, mean and covariance of a set of vectors: all that the Fréchet distance needs of it."""

    count: int
    mean: torch.Tensor
    """float64 (D,) on the CPU."""
    covariance: torch.Tensor
    """float64 (D, D) on the CPU, divided by count - 1; 0 for a single vector."""

    @classmethod
    def from_features(cls, features: torch.Tensor) -> "GaussianStatistics":
        """Statistics of features (N, D), N >= 1.

        Raises: ConfigError for an empty set, another shape, NaN or infinity.
        """
        check_features(features, "features")
        return cls.merged(_of_block(in_float64(block)) for block in features.split(BLOCK))

    @classmethod
    def merged(cls, parts: Iterable["GaussianStatistics"]) -> "GaussianStatistics":
        """Statistics of all vectors of the parts, which are read one after another.

        So `merged(GaussianStatistics.from_features(batch) for batch in batches)` needs no more memory than
        one batch. Chan, Golub and LeVeque 1983.

        Raises: ConfigError for no parts or vectors of different lengths.
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

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """The three fields by name, to save in a file of tensors."""
        return {"count": torch.tensor([self.count]), "mean": self.mean, "covariance": self.covariance}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> "GaussianStatistics":
        """Undo `to_tensors`, from a file that may be damaged.

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
    value falls with the number of vectors, so compare it only for equal numbers (Chong and Forsyth 2020).
    Constant features are allowed: their covariance is 0.

    The trace of (C C')^(1/2) is the sum of the singular values of F^T F' for C = F F^T and C' = F' F'^T.
    The published square root of the product, and the product's eigenvalues in torch-fidelity, take longer,
    cannot reuse the reference's part, and turn a rounding error of 1e-16 into 1e-8 for each eigenvalue that
    should be 0: with fewer vectors than dimensions, the distance of equal sets was below 0.

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


def distance_to(real: torch.Tensor) -> Callable[[torch.Tensor], float]:
    """The function that measures features (N, D) against the real ones (M, D), whose part is computed once.

    Raises: ConfigError as `frechet_distance`.
    """
    statistics = GaussianStatistics.from_features(real)
    return lambda features: frechet_distance(statistics, GaussianStatistics.from_features(features))
