"""The measures of a generator, on features for which the true values are known."""

import dataclasses
import math
import re

import pytest
import torch

from common.errors import ConfigError
from gan.metrics.evaluation import EvaluationResult, RealFeatures, evaluate

CLASSES = 4

Labelled = tuple[torch.Tensor, torch.Tensor]


def _sample(count: int, seed: int, classes: tuple[int, ...] = (0, 1, 2, 3)) -> Labelled:
    """Features around one corner a class, far apart, and the labels."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.tensor(classes)[torch.arange(count) % len(classes)]
    return 8 * torch.eye(CLASSES, 6)[labels] + torch.randn(count, 6, generator=random), labels


TRAIN, TRAIN_LABELS = _sample(400, 1)
HELD_OUT, HELD_OUT_LABELS = _sample(200, 2)


def _real(network: str = "compact", labelled: bool = True) -> RealFeatures:
    return RealFeatures(
        train=TRAIN,
        held_out=HELD_OUT,
        train_labels=TRAIN_LABELS if labelled else None,
        held_out_labels=HELD_OUT_LABELS if labelled else None,
        num_classes=CLASSES,
        network=network,
    )


def _evaluated(generated: torch.Tensor, real: RealFeatures | None = None) -> EvaluationResult:
    return evaluate(generated, real or _real(), seed=0)


def _values(generated: torch.Tensor, network: str = "compact") -> dict[str, float]:
    return {each.name: each.value for each in _evaluated(generated, _real(network)).measures}


def test_a_generator_as_good_as_the_data_gets_what_real_images_get() -> None:
    found = _evaluated(_sample(200, 3)[0])
    values = {each.name: each for each in found.measures}
    assert found.probe_accuracy == 1
    assert values["modes_compact_200"].value == values["modes_compact_200"].real == CLASSES
    assert values["kl_compact_200"].value == pytest.approx(0, abs=1e-12)
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
    values = _values(_sample(200, 3, classes=(0,))[0])
    assert values["modes_compact_200"] == 1
    assert values["kl_compact_200"] == pytest.approx(math.log(CLASSES))
    assert values["coverage_compact_200"] < 0.3 and values["recall_compact_200"] < 0.35
    assert values["fd_compact_200"] > 20


def test_copies_of_training_images_and_of_each_other_are_detected() -> None:
    copies = _values(TRAIN[:200])
    assert copies["memorization_compact_200"] == 0
    assert _values(HELD_OUT[:1].repeat(200, 1))["duplicates_compact_200"] == 1


def test_without_labels_no_modes_are_counted() -> None:
    found = _evaluated(_sample(50, 3)[0], _real(labelled=False))
    assert found.probe_accuracy is None
    assert not any(each.name.startswith(("modes", "kl_")) for each in found.measures)


def test_modes_are_not_counted_unless_asked_for() -> None:
    found = evaluate(_sample(50, 3)[0], _real(), seed=0, counts_modes=False)
    assert found.probe_accuracy is None and found.left_out == ""
    assert not any(each.name.startswith(("modes", "kl_")) for each in found.measures)


def test_a_probe_that_only_guesses_counts_no_modes() -> None:
    for labels, said in (
        ((HELD_OUT_LABELS + 1) % CLASSES, r"correct on 0\.0% .* \(25\.0%\)"),
        (torch.zeros_like(HELD_OUT_LABELS), r"correct on 25\.0% .* \(100\.0%\)"),
    ):
        real = dataclasses.replace(_real(), held_out_labels=labels)
        found = _evaluated(_sample(50, 3)[0], real)
        assert re.search(said, found.left_out)
        assert not any(each.name.startswith(("modes", "kl_")) for each in found.measures)


def test_data_that_no_probe_can_be_fitted_to_count_no_modes() -> None:
    real = dataclasses.replace(_real(), train_labels=torch.zeros_like(TRAIN_LABELS))
    assert _evaluated(_sample(50, 3)[0], real).left_out == "all training images are of one class"


def test_inceptions_distance_is_to_the_training_images() -> None:
    values = _values(TRAIN, network="inception")
    assert values["fid_inception_400"] == pytest.approx(0, abs=1e-6)
    assert _values(HELD_OUT)["fd_compact_200"] == pytest.approx(0, abs=1e-6)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="--images must be at least 16, not 15"):
        _evaluated(_sample(15, 3)[0])
