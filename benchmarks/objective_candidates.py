"""Candidates for the objective of a sweep, and the features that they compare.

A candidate is a distance between sets of pictures, or the geometric mean of several. Distances compare
features, each a mapping from the name of a depth to floats (N, D), which are computed once for all of them.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from gan.metrics.frechet import GaussianStatistics, frechet_distance
from gan.metrics.kid import kernel_distance, kernel_set
from perceptual.embedding import TAPS, CompactEmbedder, Embedder, load_embedder
from perceptual.lite import TAPS as LITE_TAPS
from perceptual.lite import load_lite
from perceptual.lite_embedding import LiteEmbedder

_BAND = 4  # coefficients on a side of a band of wavelets

Features = Mapping[str, torch.Tensor]
"""By depth: floats (N, D)."""
Value = Callable[[Features], float]
Values = dict[str, float]


class Distance(NamedTuple):
    """A way to compare samples with real pictures."""

    extractor: str
    """Name of one of `EXTRACTORS`."""
    prepare: Callable[[Features], Value]
    """From the features of real pictures to the function that measures those of samples."""


@functools.cache
def _compact() -> CompactEmbedder:
    embedder = load_embedder("compact")
    assert isinstance(embedder, CompactEmbedder)
    return embedder


def compact_features(pictures: np.ndarray) -> Features:
    """Those of the shipped compact network, by tap, with their root."""
    vectors = _compact().embed(torch.from_numpy(np.array(pictures)))
    widths = [64, 128, 256, 320]
    return dict(zip(TAPS, vectors.split(widths, dim=1), strict=True))


@functools.cache
def _lite(side: int) -> LiteEmbedder:
    return LiteEmbedder(
        load_lite(), torch.device("cpu"), sides=(side, side), weights=dict.fromkeys(LITE_TAPS, 1.0)
    )


@functools.cache
def _shipped_lite() -> Embedder:
    return load_embedder("lite0")


def shipped_lite_features(pictures: np.ndarray) -> Features:
    """Those that the shipped metric `fd_lite0` compares."""
    return {"weighted": _shipped_lite().embed(torch.from_numpy(np.array(pictures)))}


def lite_features(side: int) -> Callable[[np.ndarray], Features]:
    """Those of EfficientNet-Lite0 at all taps, of pictures enlarged to `side` pixels."""

    def features(pictures: np.ndarray) -> Features:
        vectors = _lite(side).embed(torch.from_numpy(np.array(pictures)))
        widths = load_lite().widths()
        return dict(zip(LITE_TAPS, vectors.split([widths[tap] for tap in LITE_TAPS], dim=1), strict=True))

    return features


def wavelet_features(pictures: np.ndarray) -> Features:
    """Haar wavelet packets: for each band of frequencies, its coefficients over the picture, in all channels.

    Veeramacheneni et al. 2024, section 3. Bands are of 4 x 4 coefficients, from pictures with a side of 8 or
    more, a power of 2; the paper has 16 x 16, of pictures of 256 pixels.
    """
    bands = {"": torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float().div_(255)}
    while next(iter(bands.values())).shape[2] > _BAND:
        bands = {f"{name}{kind}": part for name, band in bands.items() for kind, part in _haar(band).items()}
    return {name: band.flatten(1) for name, band in bands.items()}


def _haar(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The four half-size bands of (N, C, H, W): smooth, and the details across, along, and on diagonals."""
    left, right = x[..., 0::2], x[..., 1::2]
    halves = {"a": left + right, "d": left - right}
    return {
        first + second: (half[..., 0::2, :] + sign * half[..., 1::2, :]) / 2
        for first, half in halves.items()
        for second, sign in (("a", 1), ("d", -1))
    }


EXTRACTORS: dict[str, Callable[[np.ndarray], Features]] = {
    "compact": compact_features,
    "lite0": shipped_lite_features,
    **{f"lite0-{side}": lite_features(side) for side in (32, 48, 64)},
    "wavelets": wavelet_features,
}


def frechet(network: str, depths: Sequence[str], *, root: bool = False) -> Distance:
    """The Fréchet distance of features at some depths, joined to one vector."""

    def joined(features: Features) -> GaussianStatistics:
        vectors = torch.cat([features[depth] for depth in depths], dim=1)
        return GaussianStatistics.from_features(vectors.sign() * vectors.abs().sqrt() if root else vectors)

    def prepare(real: Features) -> Value:
        reference = joined(real)
        return lambda features: frechet_distance(reference, joined(features))

    return Distance(network, prepare)


def kernel(network: str, depth: str) -> Distance:
    """The kernel distance (KID) of features at one depth, not below a small positive number."""

    def prepare(real: Features) -> Value:
        reference = kernel_set(real[depth])
        return lambda features: max(1000 * kernel_distance(reference, features[depth]).value, 0.01)

    return Distance(network, prepare)


def wavelet_distance(average: Callable[[Sequence[float]], float]) -> Distance:
    """The Fréchet distances of the bands of frequencies, each by itself, as one number."""

    def prepare(real: Features) -> Value:
        bands = {band: frechet("wavelets", [band]).prepare(real) for band in real}
        return lambda features: average([value(features) for value in bands.values()])

    return Distance("wavelets", prepare)


def arithmetic(values: Sequence[float]) -> float:
    """Their sum over their number."""
    return float(np.mean(values))


def geometric(values: Sequence[float]) -> float:
    """As low as all of them allow; values > 0."""
    return float(np.exp(np.mean(np.log(values))))


_DEPTHS = (*(f"stage{number}" for number in range(1, 8)), "head")
DISTANCES: dict[str, Distance] = {
    "compact": frechet("compact", TAPS),
    "lite0": frechet("lite0", ["weighted"]),
    **{f"compact-{tap}": frechet("compact", [tap]) for tap in TAPS},
    **{f"lite0-48-{depth}": frechet("lite0-48", [depth]) for depth in _DEPTHS},
    **{
        f"lite0-{side}-{depth}": frechet(f"lite0-{side}", [depth])
        for side in (32, 64)
        for depth in ("stage2", "stage5", "head")
    },
    "lite0-64-head-kid": kernel("lite0-64", "head"),
    "wavelets": wavelet_distance(arithmetic),
    "wavelets-geo": wavelet_distance(geometric),
}
CANDIDATES: dict[str, Sequence[str]] = {
    **{name: [name] for name in DISTANCES},
    "compact-geo": [f"compact-{tap}" for tap in TAPS],
    "lite0-48-geo": [f"lite0-48-{depth}" for depth in _DEPTHS],
    "lite0-48-2-5-6": [f"lite0-48-stage{number}" for number in (2, 5, 6)],
    "lite0-48-2-head": ["lite0-48-stage2", "lite0-48-head"],
    "compact x lite0": ["compact", "lite0"],
    "compact x lite0-64-head": ["compact", "lite0-64-head"],
    "wavelets x lite0": ["wavelets-geo", "lite0"],
    "wavelets x compact": ["wavelets-geo", "compact"],
    "wavelets x compact x lite0": ["wavelets-geo", "compact", "lite0"],
}
"""By name the distances, or candidates named above, of which each is the geometric mean."""


def value_of(candidate: str, distances: Mapping[str, float]) -> float:
    """A candidate's value, by the values of `DISTANCES`."""
    parts = CANDIDATES[candidate]
    if list(parts) == [candidate]:
        return distances[candidate]
    return geometric([value_of(part, distances) for part in parts])


def needs_of(candidate: str) -> list[str]:
    """The names of the distances that it is made of."""
    parts = CANDIDATES[candidate]
    return [candidate] if list(parts) == [candidate] else [need for part in parts for need in needs_of(part)]


class Measures:
    """Distances of samples to real pictures uint8 (N, H, W, C)."""

    def __init__(self, names: Sequence[str], real: np.ndarray) -> None:
        """names: of `DISTANCES`."""
        self._extractors = sorted({DISTANCES[name].extractor for name in names})
        features = {each: EXTRACTORS[each](real) for each in self._extractors}
        self._values = {
            name: (DISTANCES[name].extractor, DISTANCES[name].prepare(features[DISTANCES[name].extractor]))
            for name in names
        }

    def values(self, samples: np.ndarray) -> Values:
        """Each distance of pictures uint8 (N, H, W, C)."""
        features = {each: EXTRACTORS[each](samples) for each in self._extractors}
        return {name: value(features[extractor]) for name, (extractor, value) in self._values.items()}


def measure_of(candidate: str, real: np.ndarray) -> Callable[[np.ndarray], float]:
    """A candidate as a function of samples, beside real pictures uint8 (N, H, W, C)."""
    measures = Measures(needs_of(candidate), real)
    return lambda samples: value_of(candidate, measures.values(samples))
