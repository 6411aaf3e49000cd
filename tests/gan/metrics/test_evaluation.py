"""The measures of a generator, on features for which the true values are known."""

import math

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from gan.metrics.classes.classifier import Classifier
from gan.metrics.classes.labelled import Classes
from gan.metrics.classes.modes import ModeCounter
from gan.metrics.evaluation import EvaluationResult, RealFeatures, evaluate

CLASSES = 4


def _sample(count: int, seed: int, classes: tuple[int, ...] = (0, 1, 2, 3)) -> torch.Tensor:
    """Features around one corner a class, far apart."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.tensor(classes)[torch.arange(count) % len(classes)]
    return 8 * torch.eye(CLASSES, 6)[labels] + torch.randn(count, 6, generator=random)


TRAIN, HELD_OUT = _sample(400, 1), _sample(200, 2)


def _evaluated(generated: torch.Tensor, network: str = "compact") -> EvaluationResult:
    return evaluate(generated, RealFeatures(train=TRAIN, held_out=HELD_OUT, network=network))


def _values(generated: torch.Tensor, network: str = "compact") -> dict[str, float]:
    return {each.name: each.value for each in _evaluated(generated, network).measures}


def test_a_generator_as_good_as_the_data_gets_what_real_images_get() -> None:
    found = _evaluated(_sample(200, 3))
    values = {each.name: each for each in found.measures}
    for name in ("precision", "recall", "density", "coverage"):
        measure = values[f"{name}_compact_200"]
        assert measure.value == pytest.approx(measure.real, abs=0.12) and measure.value > 0.8
    assert values["fd_compact_200"].value == pytest.approx(values["fd_compact_200"].real, abs=0.5)
    kid = values["kid_compact_200"]
    assert kid.standard_error is not None and abs(kid.value) < 4 * kid.standard_error
    assert values["memorization_compact_200"].value == pytest.approx(1, abs=0.15)
    assert values["memorization_compact_200"].real == pytest.approx(1, abs=0.15)
    assert values["duplicates_compact_200"].value < 0.06


def test_missing_classes_are_detected() -> None:
    values = _values(_sample(200, 3, classes=(0,)))
    assert values["coverage_compact_200"] < 0.3 and values["recall_compact_200"] < 0.35
    assert values["fd_compact_200"] > 20


def test_copies_of_training_images_and_of_each_other_are_detected() -> None:
    copies = _values(TRAIN[:200])
    assert copies["memorization_compact_200"] == 0
    assert _values(HELD_OUT[:1].repeat(200, 1))["duplicates_compact_200"] == 1


class ByValue:
    """The class of an image is the value of its pixels."""

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, 0, 0].long()


def test_modes_are_added_after_the_other_measures_with_their_noise_floor() -> None:
    labels = np.arange(40) % CLASSES
    images = np.broadcast_to(labels.astype(np.uint8)[:, None, None, None], (40, 16, 16, 1))
    classes = Classes(train=labels, held_out=labels, number=CLASSES)
    counter = ModeCounter(
        Classifier(ByValue(), classes, "by value"),
        0.9,
        torch.from_numpy(np.bincount(labels)).double(),
        images,
    )
    before = _evaluated(_sample(50, 3))
    found = before.with_modes(counter, counter.counts(torch.zeros(2000, 16, 16, 1, dtype=torch.uint8)))
    modes, kl = found.measures[len(before.measures) :]
    assert (modes.name, modes.value, modes.real) == ("modes_2k", 1, CLASSES)
    assert (kl.name, kl.value, kl.real) == ("kl_2k", pytest.approx(math.log(CLASSES)), 0)
    assert found.classifier_accuracy == 0.9 and before.classifier_accuracy is None
    assert before.without_modes("why").left_out == "why"


def test_inceptions_distance_is_to_the_training_images() -> None:
    values = _values(TRAIN, network="inception")
    assert values["fid_inception_400"] == pytest.approx(0, abs=1e-6)
    assert _values(HELD_OUT)["fd_compact_200"] == pytest.approx(0, abs=1e-6)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="--images must be at least 16, not 15"):
        _evaluated(_sample(15, 3))
