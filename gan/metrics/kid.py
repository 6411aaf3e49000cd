"""The kernel distance (KID) between two sets of features, floats (N, D) on any device.

The kernel is (x.y / D + 1)^3 of Binkowski et al. 2018, section 4.
"""

import dataclasses
import math
from typing import NamedTuple

import torch

from common.errors import require
from perceptual.feature_vectors import check_comparable, check_features, inner_products

_FEWEST = 4  # below it the centred squares are undefined


@dataclasses.dataclass(frozen=True, eq=False)
class KernelSet:
    """A set of features with the sums of its own kernel values, which a reference needs only once."""

    features: torch.Tensor
    row_sums: torch.Tensor
    """float64 (N,) on the CPU: for each vector the sum over all others."""
    square_sum: float
    """Of the squares of the kernel values over all ordered pairs of different vectors."""

    def mean(self) -> torch.Tensor:
        """Mean of the kernel over all pairs of different vectors."""
        return self.row_sums.sum() / (len(self.features) * (len(self.features) - 1))

    def row_means(self) -> torch.Tensor:
        """float64 (N,): for each vector the mean over all others."""
        return self.row_sums / (len(self.features) - 1)

    def centred_square(self) -> torch.Tensor:
        """Unbiased mean square of the kernel with both its conditional means removed.

        Székely and Rizzo 2014, proposition 1 (U-centring), from the sums alone.
        """
        n = len(self.features)
        rows, total = self.row_sums.square().sum(), self.row_sums.sum()
        centred = self.square_sum - 2 * rows / (n - 2) + total.square() / ((n - 1) * (n - 2))
        return centred.clamp_min(0) / (n * (n - 3))


class CrossSums(NamedTuple):
    """Sums of the kernel between a first set of N vectors and a second set of M."""

    over_second: torch.Tensor
    """float64 (N,) on the CPU."""
    over_first: torch.Tensor
    """float64 (M,) on the CPU."""
    square_sum: float

    def centred_square(self) -> torch.Tensor:
        """Unbiased mean square of the kernel with both its conditional means removed."""
        n, m = len(self.over_second), len(self.over_first)
        rows, columns = self.over_second.square().sum() / m, self.over_first.square().sum() / n
        centred = self.square_sum - rows - columns + self.over_second.sum().square() / (n * m)
        return centred.clamp_min(0) / ((n - 1) * (m - 1))


def kernel_set(features: torch.Tensor, what: str = "features") -> KernelSet:
    """Prepare features (N, D), N >= 4, for `kernel_distance`; what: names the set in errors.

    Raises: ConfigError for fewer, another shape, NaN or infinity.
    """
    check_features(features, f"{what} for the kernel distance", least=_FEWEST)
    row_sums, square_sum = torch.zeros(len(features), dtype=torch.float64), 0.0
    for rows, columns, products in inner_products(features, features, upper=True):
        values = _kernel_of(products, features.shape[1])
        if rows == columns:
            values.fill_diagonal_(0)
        else:
            row_sums[columns] += values.sum(dim=0).cpu()
        row_sums[rows] += values.sum(dim=1).cpu()
        square_sum += float(values.square_().sum()) * (1 if rows == columns else 2)
    return KernelSet(features, row_sums, square_sum)


def cross_sums(first: torch.Tensor, second: torch.Tensor) -> CrossSums:
    """Sums between features (N, D) and (M, D) on one device."""
    over_second, over_first = (torch.zeros(len(each), dtype=torch.float64) for each in (first, second))
    square_sum = 0.0
    for rows, columns, products in inner_products(first, second):
        values = _kernel_of(products, first.shape[1])
        over_second[rows] += values.sum(dim=1).cpu()
        over_first[columns] += values.sum(dim=0).cpu()
        square_sum += float(values.square_().sum())
    return CrossSums(over_second, over_first, square_sum)


def _kernel_of(products: torch.Tensor, length: int) -> torch.Tensor:
    return products.div_(length).add_(1).pow_(3)


class KernelDistance(NamedTuple):
    """Unbiased squared maximum mean discrepancy, which may be below 0, and its standard error."""

    value: float
    standard_error: float


def kernel_distance(real: torch.Tensor | KernelSet, generated: torch.Tensor | KernelSet) -> KernelDistance:
    """Kernel distance (KID) over all pairs: unbiased MMD^2 with the kernel (x.y / D + 1)^3.

    Binkowski et al. 2018, section 4, with one departure: the exact U-statistic over both complete sets
    instead of the mean over 100 random subsets of 1000. The subsets, as in torch-fidelity, take longer up to
    5000 vectors and leave out pairs, which adds noise. The expected value does not depend on the number of
    vectors.

    The standard error is over both samples: the Hoeffding terms of first order (Sutherland et al. 2017,
    section 2) and of second order. Between sets of one distribution only the second order remains; the error
    is then some 10 % too large, since the first order is clamped at 0.

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
    # the variance of means over the other vectors contains the terms of second order once too often
    both = 4 / m * (x.row_means() - cross.over_second / n).var()
    both += 4 / n * (y.row_means() - cross.over_first / m).var() - second
    return math.sqrt(float(torch.maximum(both, second)))
