"""Modes and KL as metrics, with a classifier that reads an image's class from its colour."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from common.errors import ConfigError
from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig
from gan.data.loading import load_images
from gan.distributed import Ranks
from gan.metrics.classes import modes
from gan.metrics.classes.classifier import Classifier
from gan.metrics.classes.labelled import Classes
from gan.metrics.classes.modes import ModesMetric, mode_counter
from gan.metrics.mode_coverage import Modes
from gan.metrics.preparation import build_metric, prepare_metric
from gan.metrics.reference import RealImages
from gan.training.run import GanRun
from tests.gan.ranks import on_two_ranks

CLASSES = 6
TRAIN_COUNTS = [30, 20, 20, 15, 10, 5]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class ByColour:
    """The class of an image is the value of its pixels."""

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, 0, 0].long()


def coloured(counts: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images with so many of each class, in random order, and their labels."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    images = np.broadcast_to(labels.astype(np.uint8)[:, None, None, None], (len(labels), 16, 16, 1))
    return images, labels


def real_images() -> RealImages:
    (train, labels), (held_out, held_out_labels) = coloured(TRAIN_COUNTS), coloured([5] * CLASSES)
    return RealImages(
        train=train,
        held_out=held_out,
        seed=0,
        device=torch.device("cpu"),
        classes=Classes(train=labels, held_out=held_out_labels, number=CLASSES),
    )


@pytest.fixture
def by_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classifiers are not trained, but always right."""
    monkeypatch.setattr(modes, "classifier_of", _by_colour)


def _by_colour(real: RealImages) -> Classifier:
    assert real.classes is not None
    return Classifier(ByColour(), real.classes, "by colour")


def _measured(name: str, counts: list[int]) -> dict[str, float]:
    config = EvaluationConfig(metric=name, metric_images=sum(counts))
    return build_metric(config, real_images()).measure(torch.from_numpy(coloured(counts)[0].copy()), Ranks())


@pytest.mark.usefixtures("by_colour")
@pytest.mark.parametrize("counts", [[20, 0, 3, 1, 0, 0], [10, 10, 0, 10, 5, 5], [0, 0, 0, 0, 0, 40]])
def test_kl_is_scipys_entropy_of_the_generated_classes_from_the_training_labels(counts: list[int]) -> None:
    row = _measured("kl", counts)
    count = sum(counts)
    assert row[f"kl_{count}"] == pytest.approx(scipy.stats.entropy(counts, TRAIN_COUNTS), rel=1e-12)
    assert row[f"modes_{count}"] == np.count_nonzero(counts)
    missing = _measured("missing_modes", counts)
    assert missing[f"missing_modes_{count}"] == CLASSES - np.count_nonzero(counts)
    assert missing[f"kl_{count}"] == row[f"kl_{count}"]
    assert missing[f"modes_{count}"] == row[f"modes_{count}"]


@pytest.mark.usefixtures("by_colour")
def test_the_noise_floor_is_that_of_as_many_training_images() -> None:
    few = real_images().train[np.linspace(0, 99, 24).round().astype(int), 0, 0, 0]
    counts = np.bincount(few, minlength=CLASSES)
    row = _measured("kl", [4] * CLASSES)
    assert row["kl_24_noise"] == pytest.approx(scipy.stats.entropy(counts, TRAIN_COUNTS), rel=1e-12)
    assert row["modes_24_noise"] == np.count_nonzero(counts)
    assert _measured("missing_modes", [40] * CLASSES)["missing_modes_240_noise"] == 0, "all training images"


@pytest.mark.usefixtures("by_colour")
def test_the_distance_is_the_metrics_own_value() -> None:
    images = torch.from_numpy(coloured([20, 4, 0, 0, 0, 0])[0].copy())
    for name in ("kl", "missing_modes"):
        metric = build_metric(EvaluationConfig(metric=name, metric_images=24), real_images())
        assert metric.distance(images, Ranks()) == metric.measure(images, Ranks())[f"{name}_24"]
        assert metric.noise_floor == metric.measure(images, Ranks())[f"{name}_24_noise"]
    with pytest.raises(ConfigError, match="a metric of 24 images takes 24 from rank 0 of 1, not 23"):
        metric.measure(images[1:], Ranks())


def _share(rank: int) -> dict[str, float]:
    original, modes.classifier_of = modes.classifier_of, _by_colour
    try:
        metric = ModesMetric(
            EvaluationConfig(metric="kl", metric_images=41), real_images(), lambda found: found.kl
        )
        images, ranks = torch.from_numpy(coloured([20, 0, 20, 0, 0, 1])[0].copy()), Ranks(rank, 2)
        return metric.measure(images[metric.share(ranks)], ranks)
    finally:
        modes.classifier_of = original


@pytest.mark.usefixtures("by_colour")
def test_two_ranks_that_classify_a_part_each_find_what_one_finds(tmp_path: Path) -> None:
    first, second = on_two_ranks(_share, folder=tmp_path)
    assert first == second == _measured("kl", [20, 0, 20, 0, 0, 1])


def test_a_classifier_that_only_guesses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = real_images()
    assert real.classes is not None
    for labels, right in (((real.classes.held_out + 1) % CLASSES, 0), (np.zeros(30, dtype=np.int64), 100)):
        wrong = dataclasses.replace(
            real, classes=dataclasses.replace(real.classes, held_out=np.asarray(labels))
        )
        held_out = real.held_out if right == 0 else np.zeros_like(real.held_out)
        monkeypatch.setattr(modes, "classifier_of", _by_colour)
        with pytest.raises(ConfigError, match=rf"^--metric kl counts .* correct on {right}\.0%") as error:
            build_metric(
                EvaluationConfig(metric="kl", metric_images=16),
                dataclasses.replace(wrong, held_out=held_out),
            )
        assert "\n" not in str(error.value) and "; choose another" in str(error.value)


@pytest.mark.usefixtures("by_colour")
def test_counts_of_parts_add_up() -> None:
    counter = mode_counter(real_images())
    images = torch.from_numpy(coloured([20, 4, 0, 9, 0, 0])[0].copy())
    parts = counter.counts(images[:11]) + counter.counts(images[11:])
    assert parts.tolist() == counter.counts(images).tolist() == [20, 4, 0, 9, 0, 0]
    assert counter.modes(parts) == Modes(
        3, CLASSES, pytest.approx(scipy.stats.entropy([20, 4, 0, 9, 0, 0], TRAIN_COUNTS))
    )


def _config(cache: Path, **data: Any) -> GanConfig:
    return GanConfig(
        data=DataConfig(resolution=16, cache=str(cache), **data),
        network=NetworkConfig(width=4, latent_size=8),
        evaluation=EvaluationConfig(metric="kl", metric_images=64),
        batch=16,
        images=64,
        images_per_tick=32,
        precision="fp32",
        compile="off",
    )


def test_a_run_minimizes_the_kl_of_its_data_and_trains_one_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path, max_images=1200, held_out=200)
    images = load_images(config.data)
    identity = prepare_metric(config, images)
    assert identity is not None and identity.startswith(("convnet", "linear-probe"))
    monkeypatch.setattr("gan.metrics.classes.classifier.train_classifier", pytest.fail)
    row = GanRun(config, images).tick()
    assert {"kl_64", "kl_64_noise", "modes_64", "modes_64_noise"} <= set(row)
    assert 0 <= row["kl_64_noise"] < row["kl_64"] and 1 <= row["modes_64"] <= 64


@pytest.mark.parametrize("name", ["kl", "missing_modes"])
def test_data_without_labels_are_refused_before_anything_starts(name: str, tmp_path: Path) -> None:
    config = _config(tmp_path, max_images=200)
    evaluation = dataclasses.replace(config.evaluation, metric=name)
    images = dataclasses.replace(load_images(config.data), train_labels=None, held_out_labels=None)
    with pytest.raises(ConfigError, match=rf"^--metric {name} needs classes, one subfolder each, and --data"):
        prepare_metric(dataclasses.replace(config, evaluation=evaluation), images)
