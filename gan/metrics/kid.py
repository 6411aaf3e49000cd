"""Sums of the polynomial kernel over all pairs of feature vectors; the distance made of them is elsewhere.

That is in `gan.metrics.frechet`. The kernel is (x.y / D + 1)^3 of Binkowski et al. 2018, section 4.
"""

import dataclasses
from typing import NamedTuple

import torch

from perceptual.feature_vectors import check_features, inner_products

_FEWEST = 4  # below it the centred squares are undefined


@dataclasses.dataclass(frozen=True, eq=False)
class KernelSet:
    """A set of features with the sums of its own kernel values, so that a reference needs them only once."""

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
    """Sums of the kernel between a first set of N vectors and a second one of M."""

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
    """Prepare features (N, D), N >= 4, for `frechet.kernel_distance`; what: names the set in errors.

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
