"""Everything that features tell of a generator, each beside what real images get; not how it is shown."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from common.errors import require
from gan.config import count_name
from gan.data.images import Images
from gan.metrics.feature_distance import embed_all
from gan.metrics.frechet import GaussianStatistics, frechet_distance, kernel_distance
from gan.metrics.kid import kernel_set
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
    """The same for as many real training images in the place of the generated ones."""
    reading: str
    """How to read it, in words."""
    standard_error: float | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """All that was measured of one generator."""

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
    """Features of all real images, from the cache where they are known.

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


def evaluate(generated: torch.Tensor, real: RealFeatures, *, seed: int) -> Evaluation:
    """Distances, diversity, copies and, where there are labels, modes.

    generated: features float32 (N, D); the real column has min(N, training images) training images in their
    place. The Fréchet distance of Inception is to all training images, as published; every other measure is
    to the held-out ones.

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
        return Evaluation(measures, None)
    probe = fit_probe(real.train, real.train_labels, real.num_classes, seed)
    held_out = probe.predict(real.held_out)
    found, noise = (
        count_modes(probe.predict(each), held_out, real.num_classes) for each in (generated, sample)
    )
    measures += [
        Measure(f"modes_{protocol}", found.covered, noise.covered, HIGHER),
        Measure(f"kl_{protocol}", found.kl, noise.kl, LOWER),
    ]
    return Evaluation(measures, probe.accuracy(real.held_out, real.held_out_labels))


class Compared(NamedTuple):
    """Features (N, D) of the four sets that are compared."""

    generated: torch.Tensor
    sample: torch.Tensor
    """Training images, as many as were generated."""
    train: torch.Tensor
    held_out: torch.Tensor


def _distances(sets: Compared, protocol: str) -> list[Measure]:
    is_fid = protocol.startswith("inception")
    reference = GaussianStatistics.from_features(sets.train if is_fid else sets.held_out)
    # the training images cannot be measured against themselves
    against = sets.held_out if is_fid else sets.sample
    frechet, noise = (
        frechet_distance(reference, GaussianStatistics.from_features(each))
        for each in (sets.generated, against)
    )
    kernels = kernel_set(sets.held_out)
    kernel, kernel_noise = (kernel_distance(kernels, each) for each in (sets.generated, sets.sample))
    return [
        Measure(f"{'fid' if is_fid else 'fd'}_{protocol}", frechet, noise, LOWER),
        Measure(f"kid_{protocol}", kernel.value, kernel_noise.value, LOWER, kernel.standard_error),
    ]


def _diversity(sets: Compared, protocol: str) -> list[Measure]:
    near = neighbourhood(sets.held_out)
    found, noise = (precision_recall_density_coverage(near, each) for each in (sets.generated, sets.sample))
    shares = [
        Measure(f"{name}_{protocol}", getattr(found, name), getattr(noise, name), HIGHER)
        for name in ("precision", "recall", "density", "coverage")
    ]
    # real images that are not in the training set: one half of the held-out ones against the other
    distances = nearest_distances(sets.held_out, sets.train)
    half = len(sets.held_out) // 2
    as_new = memorization_ratio(
        sets.held_out[:half], sets.train, sets.held_out[half:], held_out_distances=distances[half:]
    )
    ratio = memorization_ratio(sets.generated, sets.train, sets.held_out, held_out_distances=distances)
    twins, real_twins = (duplicates(each, near) for each in (sets.generated, sets.sample))
    return [
        *shares,
        Measure(f"memorization_{protocol}", ratio, as_new, NEAR_REAL),
        Measure(f"duplicates_{protocol}", twins, real_twins, LOWER),
    ]
