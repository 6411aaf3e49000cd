"""The linear probe against SciPy's minimum of the same objective, and on linearly separable classes."""

import numpy as np
import numpy.typing as npt
import pytest
import scipy.optimize
import scipy.special
import torch

from common.errors import ConfigError
from perceptual import linear_probe
from perceptual.linear_probe import fit_probe, most_vectors

Array = npt.NDArray[np.float64]


def blobs(
    count: int, length: int, classes: int, *, spread: float, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Normal clouds of the given spread around far corners; the corners do not depend on the seed."""
    corners = 3 * torch.randn(classes, length, generator=torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    return corners[labels] + spread * torch.randn(count, length, generator=random), labels


def minimum(
    features: torch.Tensor, labels: torch.Tensor, classes: int, penalty: float
) -> tuple[Array, Array]:
    """Weights and biases by SciPy, in float64, from the textbook's objective."""
    x, y = features.double().numpy(), labels.numpy()
    x = (x - x.mean(axis=0)) / x.std(axis=0)

    def split(flat: Array) -> tuple[Array, Array]:
        return flat[classes:].reshape(classes, -1), flat[:classes]

    def objective(flat: Array) -> float:
        weight, bias = split(flat)
        log_probability = scipy.special.log_softmax(x @ weight.T + bias, axis=1)
        return float(-log_probability[np.arange(len(y)), y].mean() + penalty / 2 * np.square(weight).sum())

    start = np.zeros(classes * (1 + x.shape[1]))
    found = scipy.optimize.minimize(objective, start, method="BFGS", options={"gtol": 1e-7})
    return split(found.x)


@pytest.mark.parametrize(("length", "classes"), [(1, 2), (1, 3), (2, 4)])
def test_weights_are_scipys_at_the_same_penalty(length: int, classes: int) -> None:
    features, labels = blobs(200, length, classes, spread=4, seed=1)
    probe = fit_probe(features * 7 + 100, labels, classes, 0)
    weight, bias = minimum(features, labels, classes, probe.penalty)
    np.testing.assert_allclose(probe.weight.numpy(), weight, atol=2e-3)
    # a bias common to all classes changes nothing
    found = (probe.bias - probe.bias.mean()).numpy()
    np.testing.assert_allclose(found, bias - bias.mean(), atol=2e-3)


@pytest.mark.parametrize("classes", [2, 7])
def test_separable_classes_are_all_told_apart_also_when_not_seen_before(classes: int) -> None:
    probe = fit_probe(*blobs(300, 10, classes, spread=0.3, seed=1), classes, 0)
    features, labels = blobs(200, 10, classes, spread=0.3, seed=2)
    assert probe.accuracy(features, labels) == 1
    predicted = probe.predict(features)
    assert predicted.dtype == torch.int64 and torch.equal(predicted, labels)
    assert probe.accuracy(features, (labels + 1) % classes) == 0


def test_labels_without_any_sense_are_guessed_and_the_strongest_penalties_chosen() -> None:
    features, labels = blobs(300, 60, 1, spread=1, seed=1)[0], torch.arange(300) % 3
    probe = fit_probe(features, labels, 3, 0)
    assert probe.penalty >= 0.1
    fresh = blobs(3000, 60, 1, spread=1, seed=2)[0]
    assert probe.accuracy(fresh, torch.arange(3000) % 3) == pytest.approx(1 / 3, abs=0.05)


def test_a_probe_is_the_same_for_the_same_seed_and_nearly_so_for_another_unit() -> None:
    features, labels = blobs(200, 5, 3, spread=4, seed=1)
    first, second = fit_probe(features, labels, 3, 5), fit_probe(features, labels, 3, 5)
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)
    scaled = fit_probe(features * 1000, labels, 3, 5)
    torch.testing.assert_close(scaled.weight, first.weight, atol=2e-3, rtol=0)


def test_constant_features_change_nothing() -> None:
    features, labels = blobs(200, 5, 3, spread=4, seed=1)
    constant = torch.full((200, 2), 0.1) + torch.arange(200)[:, None] % 2 * 1e-8
    probe = fit_probe(torch.cat([features, constant], dim=1), labels, 3, 0)
    torch.testing.assert_close(
        probe.weight[:, :5], fit_probe(features, labels, 3, 0).weight, atol=2e-3, rtol=0
    )
    other = torch.cat([features, torch.full((200, 2), 0.2)], dim=1)
    assert probe.accuracy(other, labels) == probe.accuracy(torch.cat([features, constant], dim=1), labels)
    nothing = fit_probe(torch.ones(40, 3), torch.arange(40) % 4 // 3, 2, 0)
    assert nothing.accuracy(torch.ones(8, 3), torch.tensor([0, 0, 0, 1] * 2)) == 0.75


def test_a_class_without_images_is_never_predicted() -> None:
    features, labels = blobs(300, 4, 3, spread=2, seed=1)
    probe = fit_probe(features, labels * 2, 6, 0)
    assert set(probe.predict(features).tolist()) == {0, 2, 4}


def test_what_no_probe_can_learn_from_is_refused_in_one_line() -> None:
    features, labels = blobs(40, 4, 2, spread=1, seed=1)
    probe = fit_probe(features, labels, 2, 0)
    broken = features.index_fill(0, torch.tensor([3]), torch.nan)
    for call, said in [
        (
            lambda: fit_probe(features[:19], labels[:19], 2, 0),
            "features of a probe must be at least 20, not 19",
        ),
        (lambda: fit_probe(broken, labels, 2, 0), "1 of 40 hold NaN or infinity"),
        (lambda: fit_probe(features, labels * 0, 2, 0), "labels of at least 2 classes, not 1; add images"),
        (lambda: fit_probe(features, labels, 1, 0), "labels must lie between 0 and 0, not 0 and 1"),
        (lambda: fit_probe(features, labels - 1, 2, 0), "labels must lie between 0 and 1, not -1 and 0"),
        (
            lambda: fit_probe(features, labels[:39], 2, 0),
            r"labels must be 40 integers, .* not torch.int64 \(39,\)",
        ),
        (lambda: fit_probe(features, labels.float(), 2, 0), "not torch.float32"),
        (lambda: probe.predict(features[:, :3]), "equally long, not 3 and 4"),
        (lambda: probe.predict(broken), "1 of 40 hold NaN"),
        (lambda: probe.accuracy(features[:0], labels[:0]), "features to classify must be at least 1, not 0"),
        (lambda: probe.accuracy(features, labels + 5), "labels must lie between 0 and 1, not 5 and 6"),
    ]:
        with pytest.raises(ConfigError, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_of_very_many_vectors_a_part_is_used_and_predicts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    assert most_vectors(10) == 60_000 and most_vectors(100) == 6_000
    assert most_vectors(1000) == 30_000, "of many classes each still has 30"
    monkeypatch.setattr(linear_probe, "_MOST_LOGITS", 1200)
    rows: list[int] = []
    minimum_of = linear_probe._minimum
    monkeypatch.setattr(
        linear_probe, "_minimum", lambda x, *rest: (rows.append(len(x)), minimum_of(x, *rest))[1]
    )
    probe = fit_probe(*blobs(5000, 10, 4, spread=0.3, seed=1), 4, 0)
    assert max(rows) == 300
    features, labels = blobs(200, 10, 4, spread=0.3, seed=2)
    assert probe.accuracy(features, labels) == 1
