"""Moments against explicit loops, gradients against finite differences."""

import numpy as np
import pytest
import torch

from styletransfer.transfer.moments import moments


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
