"""Measures of nearest neighbours among features: diversity, copies of training images, duplicates.

Features are floats (N, D) on any device.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import torch

from common.errors import require
from perceptual.feature_vectors import BLOCK, check_comparable, check_features, in_float64, inner_products

# Share of the sum of both squared norms about the mean: nearer vectors count as equal. Rounding of float64
# products is smaller, and so is the difference of float32 features of one image that was embedded twice.
_TIE = 1e-13


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbourhood:
    """A set of features with the distances of each to its neighbours, which a reference needs only once."""

    features: torch.Tensor
    squared_distances: torch.Tensor
    """float64 (N, k): to the nearest k others, ascending."""

    @property
    def nearest(self) -> torch.Tensor:
        """float64 (N,): distance to the nearest other vector."""
        return self.squared_distances[:, 0].sqrt()


class Diversity(NamedTuple):
    """Shares in [0, 1], except density, whose mean is 1 between sets of one distribution."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhood(features: torch.Tensor, k: int = 5, what: str = "features") -> Neighbourhood:
    """Distances within a set of features (N, D), N > k; the distance of equal vectors is exactly 0.

    what: the set's name in errors.

    Raises: ConfigError for fewer vectors, k < 1, another shape, NaN or infinity.
    """
    require(k >= 1, f"k must be at least 1, not {k}; try 5")
    check_features(features, f"{what} with {k} nearest neighbours", least=k + 1)
    return Neighbourhood(features, _smallest(features, features, k, others=True))


def nearest_distances(features: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Distance of each vector to the nearest of `points`: float64 (N,), exactly 0 for one of the points.

    Raises: ConfigError for an empty set, vectors of different lengths, NaN or infinity.
    """
    check_features(features, "features")
    check_features(points, "features that others are near to")
    check_comparable(features, points)
    return _smallest(features, points, 1)[:, 0].sqrt()


def precision_recall_density_coverage(
    real: torch.Tensor | Neighbourhood, generated: torch.Tensor | Neighbourhood, k: int = 5
) -> Diversity:
    """Four shares from balls around vectors; a vector's ball reaches to its k-th neighbour in its set.

    precision: share of generated vectors within the ball of a real one; recall: share of real vectors within
    the ball of a generated one (Kynkäänniemi et al. 2019, section 2). density: number of real balls that a
    generated vector is in, over k; coverage: share of real vectors whose ball contains a generated one (Naeem
    et al. 2020, section 3). All depend on the numbers of vectors and on k: 5 as Naeem et al. use for all
    four; tables of precision and recall alone mostly have 3. The edge belongs to the ball, as in the first
    paper's definition and in torch-fidelity, so that a copy of the real set reaches precision, recall and
    coverage 1; the second paper's code excludes it. When all features are equal, all are in every ball, and
    density is the number of real vectors over k.

    torch-fidelity 0.4 has the first two; here each distance is computed once for all four, in float64, and in
    blocks that bound the memory.

    real, generated: features, or their `neighbourhood` with at least this k.

    Raises: ConfigError for k or fewer vectors, vectors of different lengths, NaN or infinity.
    """
    real, generated = _with_neighbours(real, k, "real"), _with_neighbours(generated, k, "generated")
    check_comparable(real.features, generated.features)
    real_radii, generated_radii = (each.squared_distances[:, k - 1] for each in (real, generated))
    covered, recalled = (torch.zeros_like(real_radii, dtype=torch.bool) for _ in range(2))
    balls = torch.zeros_like(generated_radii)
    for rows, columns, distances, _, _ in _squared_distances(generated.features, real.features, slack=_TIE):
        in_real = distances <= real_radii[columns]
        balls[rows] += in_real.sum(dim=1)
        covered[columns] |= in_real.any(dim=0)
        recalled[columns] |= (distances <= generated_radii[rows, None]).any(dim=0)
    return Diversity(
        precision=_share(balls > 0),
        recall=_share(recalled),
        density=float(balls.mean()) / k,
        coverage=_share(covered),
    )


def memorization_ratio(
    generated: torch.Tensor,
    train: torch.Tensor,
    held_out: torch.Tensor,
    *,
    held_out_distances: torch.Tensor | None = None,
) -> float:
    """Distance of generated vectors to the training set, over that of held-out ones: 0 copies, 1 new images.

    The mean over generated vectors of the distance to the nearest training vector, capped at the held-out
    ones' median, over the same mean for the held-out ones. Copies of training images thus lower the ratio
    by their share, and the cap keeps images unlike any other from hiding them: the ratio is at most 2. A
    generator that makes only the most common kind of image falls below 1 as well; read it with recall. The
    sets may differ in size: all look for their neighbours in the same training set.

    Meehan et al. 2020 compare the same two distances by their ranks within cells of the space; here it is a
    ratio and not a test, because a test's statistic grows with the number of images. It does not detect
    memorization without near copies, which van den Burg and Williams 2021 find by leaving images out of the
    training. When most held-out vectors are in the training set themselves, nothing can be nearer: 1.

    held_out_distances: `nearest_distances(held_out, train)`, if known.

    Raises: ConfigError for an empty set, vectors of different lengths, NaN or infinity.
    """
    if held_out_distances is None:
        held_out_distances = nearest_distances(held_out, train)
    require(
        len(held_out_distances) == len(held_out),
        f"held_out_distances must be {len(held_out)}, one for each held-out vector, "
        f"not {len(held_out_distances)}; compute them anew",
    )
    cap = held_out_distances.median()
    expected = held_out_distances.clamp_max(cap).mean()
    found = nearest_distances(generated, train).to(cap.device).clamp_max(cap).mean()
    return float(found / expected) if cap > 0 else 1.0


def duplicates(
    generated: torch.Tensor | Neighbourhood, held_out: torch.Tensor | Neighbourhood, *, quantile: float = 0.01
) -> float:
    """Share of generated vectors that are nearer to another one than nearly all real vectors are, 0 to 1.

    Near means at most that quantile of the held-out vectors' distances to their nearest neighbour (the next
    smaller distance, without interpolation). A generator as diverse as the data gets about the quantile, one
    that repeats few images 1. If more held-out vectors than the quantile have an equal, only equal vectors
    count.

    Neighbours are nearer the more vectors there are, so both sets are reduced to the same size: vectors at
    equal distances in the order of the larger set.

    Raises: ConfigError for fewer than 2 vectors, vectors of different lengths, NaN or infinity.
    """
    require(0 <= quantile < 1, f"quantile must be at least 0 and below 1, not {quantile:g}; try 0.01")
    both = _with_neighbours(generated, 1, "generated"), _with_neighbours(held_out, 1, "held-out")
    check_comparable(both[0].features, both[1].features)
    count = min(len(each.features) for each in both)
    found, real = (reduced(each, count).nearest.cpu() for each in both)
    near = real.quantile(quantile, interpolation="lower")
    return _share(found <= near)


def spread(features: torch.Tensor) -> float:
    """Root mean square distance of vectors to their mean, 0 when all are equal.

    Raises: ConfigError for an empty set, NaN or infinity.
    """
    check_features(features, "features")
    wide = in_float64(features)
    return float((wide - wide.mean(dim=0)).square().sum(dim=1).mean().sqrt())


def separation(vectors: Neighbourhood) -> float:
    """Mean distance to the nearest other vector, over the vectors' `spread`; 0 when all have an equal.

    How far apart vectors are however similar all of them may be: a few groups of alike ones are close to 0.
    The more vectors, the nearer they are; compare sets of one size.
    """
    whole = spread(vectors.features)
    return float(vectors.nearest.mean()) / whole if whole > 0 else 0.0


def _with_neighbours(features: torch.Tensor | Neighbourhood, k: int, whose: str) -> Neighbourhood:
    if isinstance(features, torch.Tensor):
        return neighbourhood(features, k, f"{whose} features")
    known = features.squared_distances.shape[1]
    require(
        1 <= k <= known,
        f"k must lie between 1 and the {known} neighbours that are known, not {k}; prepare more",
    )
    return features


def reduced(full: Neighbourhood, count: int) -> Neighbourhood:
    """So many vectors at equal distances in their order, each with its nearest; all if there are no more."""
    if len(full.features) <= count:
        return full
    places = torch.linspace(0, len(full.features) - 1, count, dtype=torch.float64).round().long()
    return neighbourhood(full.features[places.to(full.features.device)], 1)


def _share(holds: torch.Tensor) -> float:
    return float(holds.double().mean())


def _amid(features: torch.Tensor) -> torch.Tensor:
    """A point amid the vectors, float64 (D,): relative to it, products lose no digits to a common offset."""
    return in_float64(features[:BLOCK]).mean(dim=0)


def _squared_norms(features: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    return torch.cat([(in_float64(block) - centre).square().sum(dim=1) for block in features.split(BLOCK)])


def _squared_distances(
    first: torch.Tensor, second: torch.Tensor, *, slack: float = 0.0
) -> Iterator[tuple[slice, slice, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """By blocks: rows of both, their squared distances, and the squared norms (n, 1) and (m,).

    slack: share of the norms that is subtracted from the distances.
    """
    centre = _amid(second)
    norms, their_norms = _squared_norms(first, centre), _squared_norms(second, centre)
    for rows, columns, products in inner_products(first, second, centre=centre):
        left, right = norms[rows, None], their_norms[columns]
        squared = products.mul_(-2).add_(left, alpha=1 - slack).add_(right, alpha=1 - slack)
        yield rows, columns, squared, left, right


def _smallest(features: torch.Tensor, points: torch.Tensor, k: int, *, others: bool = False) -> torch.Tensor:
    """Squared distances to the k nearest points, ascending: float64 (N, k).

    others: points and features are the same set, and no vector is its own neighbour.
    """
    parts: dict[int, torch.Tensor] = {}
    for rows, columns, squared, left, right in _squared_distances(features, points):
        if others and rows == columns:
            squared.fill_diagonal_(torch.inf)
        nearest, places = squared.topk(min(k, squared.shape[1]), largest=False)
        nearest[nearest <= _TIE * (left + right[places])] = 0
        known = parts.get(rows.start)
        both = nearest if known is None else torch.cat([known, nearest], dim=1)
        parts[rows.start] = both.topk(min(k, both.shape[1]), largest=False).values
    return torch.cat(list(parts.values()))
