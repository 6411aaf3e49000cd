"""All measures of a trained generator that need features, each with its noise floor."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from common.errors import require
from gan.data.images import Images
from gan.metrics.config import count_name
from gan.metrics.feature_distance import embed_all
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
from gan.metrics.reference import LEAST_IMAGES, evenly, remembered
from perceptual.embedding import Embedder
from perceptual.linear_probe import fit_probe

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
    """Share of held-out images whose class the probe that counts modes predicts; None without labels."""


@dataclasses.dataclass(frozen=True, eq=False)
class RealFeatures:
    """Features of the real images, float32 (N, D) on the CPU."""

    train: torch.Tensor
    """Of all training images."""
    held_out: torch.Tensor
    train_labels: torch.Tensor | None
    held_out_labels: torch.Tensor | None
    num_classes: int
    """0 without labels."""
    network: str
    """compact or inception, for the measures' names."""


def real_features(images: Images, embedder: Embedder, cache: Path | None) -> RealFeatures:
    """Features of all real images, from the cache if it has them.

    Raises: ConfigError when fewer than 16 images are held out or trained on.
    """
    require(
        min(len(images.train), len(images.held_out)) >= LEAST_IMAGES,
        f"an evaluation needs {LEAST_IMAGES} images to train on and as many held out, not "
        f"{len(images.train)} and {len(images.held_out)}; give more images or raise --held-out",
    )
    tensors = remembered(
        cache,
        [images.fingerprint, embedder.key, "all"],
        lambda: {
            "train": embed_all(embedder, images.train),
            "held_out": embed_all(embedder, images.held_out),
        },
    )
    labels = [
        None if each is None else torch.from_numpy(np.array(each))
        for each in (images.train_labels, images.held_out_labels)
    ]
    return RealFeatures(
        train=tensors["train"],
        held_out=tensors["held_out"],
        train_labels=labels[0],
        held_out_labels=labels[1],
        num_classes=len(images.class_names),
        network=embedder.name,
    )


def evaluate(generated: torch.Tensor, real: RealFeatures, *, seed: int) -> EvaluationResult:
    """Measure distances, diversity, copies and, if the images have labels, modes.

    generated: features float32 (N, D). The noise floor is measured on N training images, or on all if there
    are fewer. FID compares with all training images, as published; every other measure compares with the
    held-out ones.

    Raises: ConfigError for fewer than 16 generated images.
    """
    require(
        len(generated) >= LEAST_IMAGES,
        f"--images must be at least {LEAST_IMAGES}, not {len(generated)}; try 5000",
    )
    places = evenly(np.arange(len(real.train)), len(generated))
    sample = real.train[torch.from_numpy(places)]
    protocol = f"{real.network}_{count_name(len(generated))}"
    compared = Compared(generated, sample, real.train, real.held_out)
    measures = _distances(compared, protocol) + _diversity(compared, protocol)
    if real.train_labels is None or real.held_out_labels is None:
        return EvaluationResult(measures, None)
    probe = fit_probe(real.train, real.train_labels, real.num_classes, seed)
    held_out = probe.predict(real.held_out)
    found, floor = (
        count_modes(probe.predict(each), held_out, real.num_classes) for each in (generated, sample)
    )
    measures += [
        Measure(f"modes_{protocol}", found.covered, floor.covered, HIGHER),
        Measure(f"kl_{protocol}", found.kl, floor.kl, LOWER),
    ]
    return EvaluationResult(measures, probe.accuracy(real.held_out, real.held_out_labels))


class Compared(NamedTuple):
    """Features (N, D) of the four sets that are compared."""

    generated: torch.Tensor
    sample: torch.Tensor
    """As many training images as generated ones, for the noise floor."""
    train: torch.Tensor
    held_out: torch.Tensor


def _distances(sets: Compared, protocol: str) -> list[Measure]:
    is_fid = protocol.startswith("inception")
    reference = GaussianStatistics.from_features(sets.train if is_fid else sets.held_out)
    # the training images cannot be measured against themselves
    against = sets.held_out if is_fid else sets.sample
    frechet, frechet_floor = (
        frechet_distance(reference, GaussianStatistics.from_features(each))
        for each in (sets.generated, against)
    )
    kernels = kernel_set(sets.held_out)
    kernel, kernel_floor = (kernel_distance(kernels, each) for each in (sets.generated, sets.sample))
    return [
        Measure(f"{'fid' if is_fid else 'fd'}_{protocol}", frechet, frechet_floor, LOWER),
        Measure(f"kid_{protocol}", kernel.value, kernel_floor.value, LOWER, kernel.standard_error),
    ]


def _diversity(sets: Compared, protocol: str) -> list[Measure]:
    near = neighbourhood(sets.held_out)
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
