"""Moments against explicit loops, distances against SciPy and closed forms, gradients against differences."""

import numpy as np
import pytest
import scipy.linalg
import torch

from styletransfer.transfer.statistics import DISTANCES, Moments, gram_distance, moments, wasserstein_distance


def random_features(*shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=random).abs()


def looped(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sums over positions of one picture (C, H, W), written out."""
    channels, height, width = features.shape
    mean, second = np.zeros(channels), np.zeros((channels, channels))
    for y in range(height):
        for x in range(width):
            for i in range(channels):
                mean[i] += weights[y, x] * features[i, y, x]
                for j in range(channels):
                    second[i, j] += weights[y, x] * features[i, y, x] * features[j, y, x]
    return mean, second


def test_moments_are_the_mean_and_the_gram_matrix_over_positions() -> None:
    features = random_features(2, 3, 4, 5)
    found = moments(features)
    assert found.mean.shape == (2, 1, 3)
    assert found.second.shape == (2, 1, 3, 3)
    for index in range(2):
        mean, second = looped(features[index].numpy(), np.full((4, 5), 1 / 20))
        np.testing.assert_allclose(found.mean[index, 0], mean)
        np.testing.assert_allclose(found.second[index, 0], second)


def test_masked_moments_count_each_position_by_its_weight() -> None:
    features, weights = random_features(1, 3, 4, 5), random_features(1, 2, 4, 5, seed=1)
    found = moments(features, weights)
    for style in range(2):
        mean, second = looped(features[0].numpy(), weights[0, style].numpy())
        np.testing.assert_allclose(found.mean[0, style], mean)
        np.testing.assert_allclose(found.second[0, style], second)


def test_moments_of_parts_add_up_to_those_of_the_whole() -> None:
    features = random_features(1, 3, 4, 6)
    left, right = (moments(part, 1 / 24) for part in features.split([2, 4], dim=3))
    whole = moments(features)
    torch.testing.assert_close((left + right).second, whole.second)
    torch.testing.assert_close((left + right).mean, whole.mean)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_of_moments_agrees_with_finite_differences(weighted: bool) -> None:
    features = random_features(2, 3, 2, 3).requires_grad_()
    weights = random_features(1, 2, 2, 3, seed=1) if weighted else None
    assert torch.autograd.gradcheck(lambda x: tuple(moments(x, weights)), (features,))
    # as the Gram distance needs it: with no gradient from the mean, and the other way round
    assert torch.autograd.gradcheck(lambda x: moments(x, weights).second, (features,))
    assert torch.autograd.gradcheck(lambda x: moments(x, weights).mean, (features,))


def test_moments_of_bf16_features_are_summed_in_float32() -> None:
    features = random_features(1, 4, 64, 64).bfloat16()
    found = moments(features)
    assert found.second.dtype == torch.float32
    # summed in bf16, 4096 terms would stop growing at two digits
    np.testing.assert_allclose(found.second, moments(features.double()).second, rtol=1e-5)


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


@pytest.mark.parametrize("name", list(DISTANCES))
def test_a_distance_is_zero_at_its_target_and_one_at_nothing(name: str) -> None:
    target = moments(random_features(1, 4, 6, 6))
    distance = DISTANCES[name](target)  # type: ignore[index]
    nothing = Moments(torch.zeros_like(target.mean), torch.zeros_like(target.second))
    assert float(distance(target)) == pytest.approx(0, abs=1e-10)
    # the ridge, which the empty picture has too, takes up to a hundredth off
    assert float(distance(nothing)) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", list(DISTANCES))
def test_a_distance_does_not_change_with_the_unit_of_the_features(name: str) -> None:
    first, second = random_features(1, 4, 6, 6), random_features(1, 4, 6, 6, seed=1)
    make = DISTANCES[name]  # type: ignore[index]
    once = make(moments(second))(moments(first))
    thousandfold = make(moments(1000 * second))(moments(1000 * first))
    torch.testing.assert_close(once, thousandfold)


@pytest.mark.parametrize("name", list(DISTANCES))
@pytest.mark.parametrize("positions", [(3, 4), (1, 2)])
def test_gradients_of_distances_agree_with_finite_differences(name: str, positions: tuple[int, int]) -> None:
    # with fewer positions than channels the covariance is singular
    features = random_features(1, 4, *positions).requires_grad_()
    distance = DISTANCES[name](moments(random_features(1, 4, 5, 5, seed=1)))  # type: ignore[index]
    assert torch.autograd.gradcheck(lambda x: distance(moments(x)), (features,))


@pytest.mark.parametrize("name", list(DISTANCES))
@pytest.mark.parametrize("constant", [0.0, 0.7])
def test_flat_features_have_finite_distances_and_gradients(name: str, constant: float) -> None:
    flat = torch.full((1, 4, 3, 3), constant, requires_grad=True)
    rich = random_features(1, 4, 5, 5).float()
    make = DISTANCES[name]  # type: ignore[index]
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
