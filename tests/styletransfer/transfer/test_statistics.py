"""Every style statistic: distances against SciPy and closed forms, gradients against differences."""

import numpy as np
import pytest
import scipy.linalg
import torch

from styletransfer.transfer.moments import Moments, moments
from styletransfer.transfer.statistics import STATISTICS
from styletransfer.transfer.statistics.gram import gram_distance
from styletransfer.transfer.statistics.wasserstein import wasserstein_distance


def random_features(*shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=random).abs()


def test_the_gram_distance_is_the_squared_norm_of_the_difference_relative_to_the_target() -> None:
    first, second = (moments(random_features(1, 3, 4, 4, seed=seed)) for seed in (0, 1))
    expected = np.linalg.norm(first.second[0, 0] - second.second[0, 0]) ** 2
    expected /= np.linalg.norm(second.second[0, 0]) ** 2
    assert float(gram_distance(second)(first)) == pytest.approx(expected)


def test_the_wasserstein_distance_is_that_of_gaussians_as_scipy_computes_it() -> None:
    first, second = (moments(random_features(1, 5, 8, 9, seed=seed)) for seed in (0, 1))
    energy = float(second.second[0, 0].trace())
    ridge = 1e-4 * energy / 5
    (m1, c1), (m2, c2) = (
        (
            each.mean[0, 0].numpy(),
            (each.second[0, 0] - torch.outer(each.mean[0, 0], each.mean[0, 0])).numpy() + ridge * np.eye(5),
        )
        for each in (first, second)
    )
    root = scipy.linalg.sqrtm(c2)
    cross = scipy.linalg.sqrtm(root @ c1 @ root)
    expected = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * np.real(cross))
    assert float(wasserstein_distance(second)(first)) == pytest.approx(expected / energy)


def test_a_decomposition_that_does_not_converge_changes_neither_distance_nor_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target, features = moments(random_features(1, 5, 8, 9)), random_features(2, 5, 8, 9, seed=1)

    def evaluated() -> tuple[torch.Tensor, torch.Tensor]:
        leaf = features.clone().requires_grad_()
        values = wasserstein_distance(target)(moments(leaf))
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
        return values.detach(), gradient

    def give_up(matrices: torch.Tensor) -> torch.Tensor:
        raise torch.linalg.LinAlgError("the algorithm failed to converge")

    expected = evaluated()
    monkeypatch.setattr(torch.linalg, "eigh", give_up)
    monkeypatch.setattr(torch.linalg, "eigvalsh", give_up)
    for found, wanted in zip(evaluated(), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", list(STATISTICS))
def test_a_distance_is_zero_at_its_target_and_one_at_nothing(name: str) -> None:
    target = moments(random_features(1, 4, 6, 6))
    distance = STATISTICS[name](target)
    nothing = Moments(torch.zeros_like(target.mean), torch.zeros_like(target.second))
    assert float(distance(target)) == pytest.approx(0, abs=1e-10)
    # the ridge, which the empty picture has too, takes up to a hundredth off
    assert float(distance(nothing)) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", list(STATISTICS))
def test_a_distance_does_not_change_with_the_unit_of_the_features(name: str) -> None:
    first, second = random_features(1, 4, 6, 6), random_features(1, 4, 6, 6, seed=1)
    make = STATISTICS[name]
    once = make(moments(second))(moments(first))
    thousandfold = make(moments(1000 * second))(moments(1000 * first))
    torch.testing.assert_close(once, thousandfold)


@pytest.mark.parametrize("name", list(STATISTICS))
@pytest.mark.parametrize("positions", [(3, 4), (1, 2)])
def test_gradients_of_distances_agree_with_finite_differences(name: str, positions: tuple[int, int]) -> None:
    # with fewer positions than channels the covariance is singular
    features = random_features(1, 4, *positions).requires_grad_()
    distance = STATISTICS[name](moments(random_features(1, 4, 5, 5, seed=1)))
    assert torch.autograd.gradcheck(lambda x: distance(moments(x)), (features,))


@pytest.mark.parametrize("name", list(STATISTICS))
@pytest.mark.parametrize("constant", [0.0, 0.7])
def test_flat_features_have_finite_distances_and_gradients(name: str, constant: float) -> None:
    flat = torch.full((1, 4, 3, 3), constant, requires_grad=True)
    rich = random_features(1, 4, 5, 5).float()
    make = STATISTICS[name]
    for goal in (flat.detach(), rich):
        value = make(moments(goal))(moments(flat))
        (gradient,) = torch.autograd.grad(value.sum(), flat)
        assert torch.isfinite(value).all()
        assert torch.isfinite(gradient).all()


def test_each_style_of_each_picture_is_compared_with_its_own_target() -> None:
    features, weights = random_features(2, 3, 4, 4), random_features(2, 2, 4, 4, seed=1)
    goals = moments(random_features(2, 3, 4, 4, seed=2), weights)
    found = moments(features, weights)
    together = gram_distance(goals)(found)
    assert together.shape == (2, 2)
    for picture in range(2):
        for style in range(2):
            one = (slice(picture, picture + 1), slice(style, style + 1))
            alone = gram_distance(Moments(goals.mean[one], goals.second[one]))(
                Moments(found.mean[one], found.second[one])
            )
            torch.testing.assert_close(alone[0, 0], together[picture, style])
