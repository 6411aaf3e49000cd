"""All measures of a trained generator that need features, each with its noise floor."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from common.errors import require
from gan.data.images import Images, mirrored
from gan.metrics.artifacts import Artifacts
from gan.metrics.classes.modes import ModeCounter
from gan.metrics.config import count_name
from gan.metrics.feature_distance import embedded_batches
from gan.metrics.few import LEAST_IMAGES, are_few, halves
from gan.metrics.frechet import GaussianStatistics, frechet_distance
from gan.metrics.kid import kernel_distance, kernel_set
from gan.metrics.prdc import (
    duplicates,
    memorization_ratio,
    nearest_distances,
    neighbourhood,
    precision_recall_density_coverage,
)
from gan.metrics.reference import evenly, remembered_features
from perceptual.embedding import Embedder

_DISTANCES = ("fd_", "fid_", "kid_")
LOWER, HIGHER, NEAR_REAL = "lower is better", "higher is better", "as real is best"


@dataclasses.dataclass(frozen=True)
class Measure:
    """One number about a generator."""

    name: str
    value: float
    real: float
    """Its noise floor: the same measure of as many real training images."""
    reading: str
    """Which values are good, in words."""
    standard_error: float | None = None


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """All measures of one generator."""

    measures: list[Measure]
    classifier_accuracy: float | None = None
    """Share of held-out images whose class the classifier that counts modes predicts; None without one."""
    left_out: str = ""
    """Why modes were asked for and are not counted."""

    def with_distance(self, name: str, row: Mapping[str, float]) -> "EvaluationResult":
        """With the distance of another network beside those that there are.

        row: what the metric `name` measured, with its noise floor.
        """
        place = sum(each.name.startswith(_DISTANCES) for each in self.measures)  # they come first
        distance = Measure(name, row[name], row[f"{name}_noise"], LOWER)
        return dataclasses.replace(self, measures=[*self.measures[:place], distance, *self.measures[place:]])

    def with_artifacts(self, artifacts: Artifacts, sums: torch.Tensor) -> "EvaluationResult":
        """With the numbers of patterns and burnt pixels of the images that `artifact_sums` are of."""
        more = [
            Measure(name, value, artifacts.noise[f"{name}_noise"], NEAR_REAL)
            for name, value in artifacts.values(sums.cpu()).items()
        ]
        return dataclasses.replace(self, measures=[*self.measures, *more])

    def with_modes(self, counter: ModeCounter, counts: torch.Tensor) -> "EvaluationResult":
        """With the modes and the KL of the images that `counter.counts` are of, after the other measures."""
        count = int(counts.sum())
        found, floor = counter.modes(counts), counter.noise_floor(count)
        more = [
            Measure(f"modes_{count_name(count)}", found.covered, floor.covered, HIGHER),
            Measure(f"kl_{count_name(count)}", found.kl, floor.kl, LOWER),
        ]
        return dataclasses.replace(
            self, measures=[*self.measures, *more], classifier_accuracy=counter.accuracy
        )

    def without_modes(self, reason: str) -> "EvaluationResult":
        """Without the modes that were asked for."""
        return dataclasses.replace(self, left_out=reason)


@dataclasses.dataclass(frozen=True, eq=False)
class RealFeatures:
    """Features of the real images, float32 (N, D) on the CPU, perhaps mapped from a file."""

    train: torch.Tensor
    """Of all training images."""
    held_out: torch.Tensor
    network: str
    """compact, lite0 or inception, for the measures' names."""
    mirrored: torch.Tensor | None = None
    """Of the mirror images of `train`, where those are shown, too; None where they are not."""
    crops: int = 1
    """As `Images.crops`."""

    def shown(self) -> torch.Tensor:
        """Of all that a generator may copy."""
        return self.train if self.mirrored is None else torch.cat([self.train, self.mirrored])

    def compared(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What generated images are compared with, and real ones that give the noise floor."""
        if are_few(len(self.train), len(self.held_out)):
            return halves(self.held_out, self.train, self.crops)
        return self.held_out, self.train


def real_features(
    images: Images,
    embedder: Embedder,
    cache: Path | None,
    on_batch: Callable[[int], None] = lambda count: None,
) -> RealFeatures:
    """Features of all real images, from the cache if it has them; on_batch: see `embedded_batches`."""
    parts = {"train": images.train, "held_out": images.held_out}
    if images.flip:
        parts["mirrored"] = mirrored(images.train)
    features = {
        part: remembered_features(
            cache,
            [images.fingerprint, embedder.key, "all", part],
            (len(pictures), embedder.length),
            functools.partial(embedded_batches, embedder, pictures, on_batch),
        )
        for part, pictures in parts.items()
    }
    return RealFeatures(**features, network=embedder.name, crops=images.crops)


def evaluate(generated: torch.Tensor, real: RealFeatures) -> EvaluationResult:
    """Measure distances, diversity and copies.

    generated: features float32 (N, D). The noise floor is measured on N training images, or on all if there
    are fewer. FID compares with all training images, as published; every other measure compares with the
    held-out ones, or with one half of all where few are held out.

    Raises: ConfigError for fewer than 16 generated images.
    """
    require(
        len(generated) >= LEAST_IMAGES,
        f"--images must be at least {LEAST_IMAGES}, not {len(generated)}; try 5000",
    )
    reference, others = real.compared()
    places = evenly(np.arange(len(others)), len(generated))
    sample = others[torch.from_numpy(places)]
    protocol = f"{real.network}_{count_name(len(generated))}"
    compared = Compared(generated, sample, reference, real.train, real.shown(), real.held_out)
    return EvaluationResult(_distances(compared, protocol) + _diversity(compared, protocol))


class Compared(NamedTuple):
    """Features (N, D) of the sets that are compared."""

    generated: torch.Tensor
    sample: torch.Tensor
    """As many real images as generated ones, for the noise floor."""
    reference: torch.Tensor
    """What both are compared with."""
    train: torch.Tensor
    shown: torch.Tensor
    """The training images in each orientation that was shown."""
    held_out: torch.Tensor


def _distances(sets: Compared, protocol: str) -> list[Measure]:
    is_fid = protocol.startswith("inception")
    reference = GaussianStatistics.from_features(sets.train if is_fid else sets.reference)
    # the training images cannot be measured against themselves
    against = sets.held_out if is_fid else sets.sample
    frechet, frechet_floor = (
        frechet_distance(reference, GaussianStatistics.from_features(each))
        for each in (sets.generated, against)
    )
    kernels = kernel_set(sets.reference)
    kernel, kernel_floor = (kernel_distance(kernels, each) for each in (sets.generated, sets.sample))
    return [
        Measure(f"{'fid' if is_fid else 'fd'}_{protocol}", frechet, frechet_floor, LOWER),
        Measure(f"kid_{protocol}", kernel.value, kernel_floor.value, LOWER, kernel.standard_error),
    ]


def _diversity(sets: Compared, protocol: str) -> list[Measure]:
    near = neighbourhood(sets.reference)
    found, floor = (precision_recall_density_coverage(near, each) for each in (sets.generated, sets.sample))
    shares = [
        Measure(f"{name}_{protocol}", getattr(found, name), getattr(floor, name), HIGHER)
        for name in ("precision", "recall", "density", "coverage")
    ]
    # the noise floor needs real images outside the training set: one half of the held-out ones, with the
    # other half as reference
    distances = nearest_distances(sets.held_out, sets.shown)
    half = len(sets.held_out) // 2
    ratio_floor = memorization_ratio(
        sets.held_out[:half], sets.shown, sets.held_out[half:], held_out_distances=distances[half:]
    )
    ratio = memorization_ratio(sets.generated, sets.shown, sets.held_out, held_out_distances=distances)
    twins, twins_floor = (duplicates(each, near) for each in (sets.generated, sets.sample))
    return [
        *shares,
        Measure(f"memorization_{protocol}", ratio, ratio_floor, NEAR_REAL),
        Measure(f"duplicates_{protocol}", twins, twins_floor, LOWER),
    ]
