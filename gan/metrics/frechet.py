"""The Fréchet distance (FID) between two sets of features, floats (N, D) on any device.

torch-fidelity 0.4 has it too, but slower and less exact than a metric of every tick needs; `frechet_distance`
says why.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping

import torch

from common.decompositions import eigh, singular_values
from common.errors import ConfigError, require
from perceptual.feature_vectors import BLOCK, check_comparable, check_features, in_float64


@dataclasses.dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """Number, mean and covariance of a set of vectors: all that the Fréchet distance needs of it."""

    count: int
    mean: torch.Tensor
    """float64 (D,) on the CPU."""
    factor: torch.Tensor
    """float64 (D, K) on the CPU, K at most D: its product with its own transpose is the covariance."""
    saved: torch.Tensor | None = None
    """The covariance as a file has it."""

    @classmethod
    def from_features(cls, features: torch.Tensor) -> "GaussianStatistics":
        """Statistics of features (N, D), N >= 1.

        Raises: ConfigError for an empty set, another shape, NaN or infinity.
        """
        check_features(features, "features")
        return cls.merged(_of_block(in_float64(block).cpu()) for block in features.split(BLOCK))

    @classmethod
    def merged(cls, parts: Iterable["GaussianStatistics"]) -> "GaussianStatistics":
        """Statistics of all vectors of the parts, which are read one after another.

        So `merged(GaussianStatistics.from_features(batch) for batch in batches)` needs little more memory
        than one batch. Chan, Golub and LeVeque 1983, with factors in place of the sums of squares.

        Raises: ConfigError for no parts or vectors of different lengths.
        """
        count, mean, rows = 0, torch.zeros(()), torch.zeros(())
        for part in parts:
            if count == 0:
                count, mean, rows = part.count, part.mean, part._rows()
                continue
            check_comparable(mean, part.mean)
            total, apart = count + part.count, part.mean - mean
            between = apart * math.sqrt(count * part.count / total)
            rows = torch.cat([rows, part._rows(), between[None]])
            if len(rows) > 2 * len(mean):  # seldom, as it takes the longest
                rows = _compressed(rows)
            count, mean = total, mean + apart * (part.count / total)
        require(count > 0, "statistics need at least 1 feature vector, not 0; take more images")
        return cls(count, mean, _compressed(rows).T / math.sqrt(max(1, count - 1)))

    def _rows(self) -> torch.Tensor:
        """(K, D), whose product with its own transpose on the left is the sum of the centred squares."""
        return self.factor.T * math.sqrt(self.count - 1)

    @functools.cached_property
    def covariance(self) -> torch.Tensor:
        """float64 (D, D), divided by count - 1; 0 for a single vector."""
        return self.factor @ self.factor.T if self.saved is None else self.saved

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """The three of them by name, to save in a file of tensors."""
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
        return cls(int(count), mean, _factor_of(covariance), covariance)


def _of_block(vectors: torch.Tensor) -> GaussianStatistics:
    """Statistics to be merged: the factor has a column for each vector, of which there may be more than D."""
    # the mean of equal values may differ from them by rounding, which would count as spread
    is_constant = (vectors == vectors[0]).all(dim=0)
    mean = torch.where(is_constant, vectors[0], vectors.mean(dim=0))
    centred = (vectors - mean) / math.sqrt(max(1, len(vectors) - 1))
    return GaussianStatistics(len(vectors), mean, centred.T)


def _compressed(rows: torch.Tensor) -> torch.Tensor:
    """At most D rows of (K, D) with the same product of their transpose with them."""
    if len(rows) <= rows.shape[1]:
        return rows
    scale = _scale_of(rows)
    triangle: torch.Tensor = torch.linalg.qr(rows / scale, mode="r").R
    return triangle * scale


def _factor_of(covariance: torch.Tensor) -> torch.Tensor:
    """float64 (D, rank) whose product with its own transpose is the covariance.

    Eigenvalues below D times the rounding error of the largest are rounding, and left out.
    """
    scale = _scale_of(covariance)
    eigenvalues, vectors = eigh(covariance / scale)
    kept = eigenvalues > len(covariance) * torch.finfo(torch.float64).eps * eigenvalues[-1]
    return vectors[:, kept] * eigenvalues[kept].sqrt() * math.sqrt(scale)


def _scale_of(*tensors: torch.Tensor) -> float:
    """The largest absolute value, 1 for zeros: divided by it, squares neither overflow nor vanish."""
    return max((float(each.abs().max()) for each in tensors if each.numel()), default=0.0) or 1.0


def frechet_distance(first: GaussianStatistics, second: GaussianStatistics) -> float:
    """Squared Fréchet distance of two Gaussians: |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)); never negative.

    Heusel et al. 2017, section 4; equal sets are at 0 up to rounding (1e-15 of the covariances' traces). The
    value falls with the number of vectors, so compare it only for equal numbers (Chong and Forsyth 2020).
    Constant features are allowed: their covariance is 0.

    The trace of (C C')^(1/2) is the sum of the singular values of F^T F' for C = F F^T and C' = F' F'^T. With
    fewer vectors than dimensions F is the centred vectors themselves, so that nothing else is decomposed. The
    published square root of the product, and the product's eigenvalues in torch-fidelity, take longer,
    cannot reuse the reference's part, and turn a rounding error of 1e-16 into 1e-8 for each eigenvalue that
    should be 0: with fewer vectors than dimensions, the distance of equal sets was below 0.

    Raises: ConfigError for fewer than 2 vectors in a set, or vectors of different lengths.
    """
    fewest = min(first.count, second.count)
    require(
        fewest >= 2, f"the Fréchet distance needs at least 2 vectors a set, not {fewest}; take more images"
    )
    check_comparable(first.mean, second.mean)
    apart = first.mean - second.mean
    scale = _scale_of(apart, first.factor, second.factor)
    one, other = first.factor / scale, second.factor / scale
    traces = float(one.square().sum() + other.square().sum())
    shared = float(singular_values(one.T @ other).sum()) if one.shape[1] and other.shape[1] else 0.0
    value = float((apart / scale).square().sum()) + traces - 2 * shared
    return max(0.0, value) * scale * scale


def distance_to(real: torch.Tensor) -> Callable[[torch.Tensor], float]:
    """The function that measures features (N, D) against the real ones (M, D), whose part is computed once.

    Raises: ConfigError as `frechet_distance`.
    """
    statistics = GaussianStatistics.from_features(real)
    return lambda features: frechet_distance(statistics, GaussianStatistics.from_features(features))
