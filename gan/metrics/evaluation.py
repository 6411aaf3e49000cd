"""All measures of a trained generator that need features, each with its noise floor."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from common.errors import require
from gan.data.images import Images
from gan.metrics.artifacts import Artifacts
from gan.metrics.config import count_name
from gan.metrics.feature_distance import embedded_batches
from gan.metrics.few import LEAST_IMAGES, are_few, halves
from gan.metrics.frechet import GaussianStatistics, frechet_distance
from gan.metrics.kid import kernel_distance, kernel_set
from gan.metrics.mode_coverage import count_modes
from gan.metrics.prdc import (
    duplicates,
    memorization_ratio,
    nearest_distances,
    neighbourhood,
    precision_recall_density_coverage,
)
from gan.metrics.reference import evenly, remembered_features
from perceptual.embedding import Embedder
from perceptual.linear_probe import fit_probe, why_no_probe

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
    probe_accuracy: float | None
    """Share of held-out images whose class the probe that counts modes predicts; None without a probe."""
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


@dataclasses.dataclass(frozen=True, eq=False)
class RealFeatures:
    """Features of the real images, float32 (N, D) on the CPU, perhaps mapped from a file."""

    train: torch.Tensor
    """Of all training images."""
    held_out: torch.Tensor
    train_labels: torch.Tensor | None
    held_out_labels: torch.Tensor | None
    num_classes: int
    """0 without labels."""
    network: str
    """compact, lite0 or inception, for the measures' names."""

    def compared(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What generated images are compared with, and real ones that give the noise floor."""
        if are_few(len(self.train), len(self.held_out)):
            return halves(self.held_out, self.train)
        return self.held_out, self.train


def real_features(
    images: Images,
    embedder: Embedder,
    cache: Path | None,
    on_batch: Callable[[int], None] = lambda count: None,
) -> RealFeatures:
    """Features of all real images, from the cache if it has them; on_batch: see `embedded_batches`."""
    parts = {"train": images.train, "held_out": images.held_out}
    features = {
        part: remembered_features(
            cache,
            [images.fingerprint, embedder.key, "all", part],
            (len(pictures), embedder.length),
            functools.partial(embedded_batches, embedder, pictures, on_batch),
        )
        for part, pictures in parts.items()
    }
    labels = [
        None if each is None else torch.from_numpy(np.array(each))
        for each in (images.train_labels, images.held_out_labels)
    ]
    return RealFeatures(
        train=features["train"],
        held_out=features["held_out"],
        train_labels=labels[0],
        held_out_labels=labels[1],
        num_classes=len(images.class_names),
        network=embedder.name,
    )


def evaluate(
    generated: torch.Tensor, real: RealFeatures, *, seed: int, counts_modes: bool = True
) -> EvaluationResult:
    """Measure distances, diversity, copies and, if the images have labels, modes.

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
    compared = Compared(generated, sample, reference, real.train, real.held_out)
    measures = _distances(compared, protocol) + _diversity(compared, protocol)
    if not counts_modes or real.train_labels is None or real.held_out_labels is None:
        return EvaluationResult(measures, None)
    reason = why_no_probe(real.train_labels)
    if reason:
        return EvaluationResult(measures, None, reason)
    probe = fit_probe(real.train, real.train_labels, real.num_classes, seed)
    accuracy = probe.accuracy(real.held_out, real.held_out_labels)
    guessed = float(real.held_out_labels.bincount().max()) / len(real.held_out_labels)
    if accuracy <= guessed:
        return EvaluationResult(
            measures,
            accuracy,
            f"the linear probe is correct on {accuracy:.1%} of the held-out images, no better than always "
            f"naming the most frequent class ({guessed:.1%})",
        )
    predicted = probe.predict(reference)
    found, floor = (
        count_modes(probe.predict(each), predicted, real.num_classes) for each in (generated, sample)
    )
    measures += [
        Measure(f"modes_{protocol}", found.covered, floor.covered, HIGHER),
        Measure(f"kl_{protocol}", found.kl, floor.kl, LOWER),
    ]
    return EvaluationResult(measures, accuracy)


class Compared(NamedTuple):
    """Features (N, D) of the sets that are compared."""

    generated: torch.Tensor
    sample: torch.Tensor
    """As many real images as generated ones, for the noise floor."""
    reference: torch.Tensor
    """What both are compared with."""
    train: torch.Tensor
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
    distances = nearest_distances(sets.held_out, sets.train)
    half = len(sets.held_out) // 2
    ratio_floor = memorization_ratio(
        sets.held_out[:half], sets.train, sets.held_out[half:], held_out_distances=distances[half:]
    )
    ratio = memorization_ratio(sets.generated, sets.train, sets.held_out, held_out_distances=distances)
    twins, twins_floor = (duplicates(each, near) for each in (sets.generated, sets.sample))
    return [
        *shares,
        Measure(f"memorization_{protocol}", ratio, ratio_floor, NEAR_REAL),
        Measure(f"duplicates_{protocol}", twins, twins_floor, LOWER),
    ]
