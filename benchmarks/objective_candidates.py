"""Candidates for the objective of a sweep, and the features that they compare.

A candidate compares sets of pictures by features, each a mapping from the name of a depth to floats (N, D).
Features are computed once for all candidates that use them.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from gan.metrics.frechet import GaussianStatistics, frechet_distance
from perceptual.embedding import TAPS, CompactEmbedder, load_embedder
from perceptual.lite import TAPS as LITE_TAPS
from perceptual.lite import load_lite
from perceptual.lite_embedding import LiteEmbedder

Features = Mapping[str, torch.Tensor]
"""By depth: floats (N, D)."""
Value = Callable[[Mapping[str, Features]], float]


class Candidate(NamedTuple):
    """A way to measure samples."""

    needs: tuple[str, ...]
    """Names of `EXTRACTORS`."""
    prepare: Callable[[Mapping[str, Features]], Value]
    """From the features of real pictures, by extractor, to the function that measures those of samples."""


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
    return LiteEmbedder(load_lite(), torch.device("cpu"), side=side, taps=LITE_TAPS)


def lite_features(side: int) -> Callable[[np.ndarray], Features]:
    """Those of EfficientNet-Lite0 at all taps, of pictures enlarged to `side` pixels."""

    def features(pictures: np.ndarray) -> Features:
        vectors = _lite(side).embed(torch.from_numpy(np.array(pictures)))
        widths = load_lite().widths()
        return dict(zip(LITE_TAPS, vectors.split([widths[tap] for tap in LITE_TAPS], dim=1), strict=True))

    return features


def wavelet_features(levels: int) -> Callable[[np.ndarray], Features]:
    """Haar wavelet packets: for each band of frequencies, its coefficients over the picture, in all channels.

    Veeramacheneni et al. 2024, section 3, whose level is 4 for pictures of 256 pixels.
    """

    def features(pictures: np.ndarray) -> Features:
        bands = {"": torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float().div_(255)}
        for _ in range(levels):
            bands = {
                f"{name}{kind}": part for name, band in bands.items() for kind, part in _haar(band).items()
            }
        return {name: band.flatten(1) for name, band in bands.items()}

    return features


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
    "lite0-32": lite_features(32),
    "lite0-64": lite_features(64),
    "wavelets-2": wavelet_features(2),
    "wavelets-3": wavelet_features(3),
}


def frechet(network: str, depths: Sequence[str], *, root: bool = False) -> Candidate:
    """The Fréchet distance of features at some depths, joined to one vector."""

    def joined(features: Mapping[str, Features]) -> GaussianStatistics:
        vectors = torch.cat([features[network][depth] for depth in depths], dim=1)
        return GaussianStatistics.from_features(vectors.sqrt() if root else vectors)

    def prepare(real: Mapping[str, Features]) -> Value:
        reference = joined(real)
        return lambda features: frechet_distance(reference, joined(features))

    return Candidate((network,), prepare)


def product(*candidates: Candidate) -> Candidate:
    """The geometric mean of several: as low as all of them allow."""

    def prepare(real: Mapping[str, Features]) -> Value:
        values = [candidate.prepare(real) for candidate in candidates]
        return lambda features: float(np.exp(np.mean([np.log(value(features)) for value in values])))

    return Candidate(tuple({name: None for each in candidates for name in each.needs}), prepare)


def geometric(network: str, depths: Sequence[str] = (), *, root: bool = False) -> Candidate:
    """The geometric mean of the Fréchet distances at each depth; all depths when none are named."""

    def prepare(real: Mapping[str, Features]) -> Value:
        return product(*(frechet(network, [depth], root=root) for depth in depths or real[network])).prepare(
            real
        )

    return Candidate((network,), prepare)


def mean(network: str) -> Candidate:
    """The mean of the Fréchet distances at each depth."""

    def prepare(real: Mapping[str, Features]) -> Value:
        values = [frechet(network, [depth]).prepare(real) for depth in real[network]]
        return lambda features: float(np.mean([value(features) for value in values]))

    return Candidate((network,), prepare)


_COMPACT = frechet("compact", TAPS)
_STAGES = [f"stage{number}" for number in range(1, 8)]
CANDIDATES: dict[str, Candidate] = {
    "compact": _COMPACT,
    "compact-geo": geometric("compact"),
    "lite0-32-head": frechet("lite0-32", ["head"]),
    "lite0-32-geo": geometric("lite0-32", [*_STAGES, "head"]),
    **{f"lite0-64-{tap}": frechet("lite0-64", [tap]) for tap in (*_STAGES[1:], "head")},
    "lite0-64-geo": geometric("lite0-64", [*_STAGES, "head"]),
    "lite0-64-late": frechet("lite0-64", ["stage5", "stage6", "stage7"]),
    "lite0-64-geo-late": geometric("lite0-64", ["stage3", "stage4", "stage5", "stage6", "stage7", "head"]),
    "lite0-64-all": frechet("lite0-64", _STAGES),
    "wavelets-2": mean("wavelets-2"),
    "wavelets-3": mean("wavelets-3"),
    "wavelets-3-geo": geometric("wavelets-3"),
    "compact x lite0-64-head": product(_COMPACT, frechet("lite0-64", ["head"])),
    "compact x lite0-32-head": product(_COMPACT, frechet("lite0-32", ["head"])),
    "compact x lite0-64-stage7": product(_COMPACT, frechet("lite0-64", ["stage7"])),
    "compact x lite0-64-late": product(_COMPACT, frechet("lite0-64", ["stage5", "stage6", "stage7"])),
    "wavelets x lite0-64-head": product(geometric("wavelets-3"), frechet("lite0-64", ["head"])),
    "wavelets x compact": product(geometric("wavelets-3"), _COMPACT),
}


def features_of(names: Sequence[str], pictures: np.ndarray) -> dict[str, Features]:
    """The features of pictures uint8 (N, H, W, C) by these extractors."""
    return {name: EXTRACTORS[name](pictures) for name in names}


def measure_of(name: str, real: np.ndarray) -> Callable[[np.ndarray], float]:
    """A candidate as a function of samples, beside real pictures uint8 (N, H, W, C)."""
    candidate = CANDIDATES[name]
    value = candidate.prepare(features_of(candidate.needs, real))
    return lambda samples: value(features_of(candidate.needs, samples))
