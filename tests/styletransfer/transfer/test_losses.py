"""Content and variation against explicit loops and closed forms, gradients against differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from styletransfer.transfer.losses import (
    HUBER_STEP,
    FeatureDistance,
    mean_losses,
    style_share,
    total_variation,
)

PENALTIES = {
    "l2": lambda d: d * d,
    "l1": abs,
    "huber": lambda d: d * d / (2 * HUBER_STEP) if abs(d) <= HUBER_STEP else abs(d) - HUBER_STEP / 2,
}


def random_pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def looped_variation(picture: np.ndarray, penalty: str) -> float:
    """Over the differences of one picture (C, H, W), written out."""
    channels, height, width = picture.shape
    down = [
        PENALTIES[penalty](picture[c, y + 1, x] - picture[c, y, x])
        for c in range(channels)
        for y in range(height - 1)
        for x in range(width)
    ]
    across = [
        PENALTIES[penalty](picture[c, y, x + 1] - picture[c, y, x])
        for c in range(channels)
        for y in range(height)
        for x in range(width - 1)
    ]
    return sum(sum(part) / len(part) for part in (down, across) if part)


@pytest.mark.parametrize("kind", list(PENALTIES))
@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 5), width=st.integers(1, 5), seed=st.integers(0, 99))
def test_variation_is_the_mean_penalty_of_neighbours(kind: str, height: int, width: int, seed: int) -> None:
    pictures = random_pictures(2, 3, height, width, seed=seed)
    found = total_variation(pictures, kind)  # type: ignore[arg-type]
    assert found.shape == (2,)
    for index in range(2):
        assert float(found[index]) == pytest.approx(looped_variation(pictures[index].numpy(), kind))


@pytest.mark.parametrize("kind", list(PENALTIES))
def test_the_gradient_of_variation_agrees_with_finite_differences(kind: str) -> None:
    pictures = random_pictures(1, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: total_variation(x, kind), (pictures,))  # type: ignore[arg-type]


def test_content_is_the_squared_distance_relative_to_the_target() -> None:
    target, features = random_pictures(2, 3, 4, 5), random_pictures(2, 3, 4, 5, seed=1)
    found = FeatureDistance(target)(features)
    for index in range(2):
        difference = np.linalg.norm(features[index] - target[index])
        assert float(found[index]) == pytest.approx(difference**2 / np.linalg.norm(target[index]) ** 2)


def test_content_is_zero_at_the_target_and_one_at_nothing() -> None:
    target = random_pictures(1, 3, 4, 5)
    assert float(FeatureDistance(target)(target)) == 0
    assert float(FeatureDistance(target)(torch.zeros_like(target))) == pytest.approx(1)


def test_content_of_parts_adds_up_to_that_of_the_whole() -> None:
    loss, features = FeatureDistance(random_pictures(1, 3, 4, 6)), random_pictures(1, 3, 4, 6, seed=1)
    parts = (
        loss(features[:, :, :3, :2])
        + loss(features[:, :, 3:, :2], top=3)
        + loss(features[:, :, :, 2:], left=2)
    )
    torch.testing.assert_close(parts, loss(features))


def test_the_gradient_of_content_agrees_with_finite_differences() -> None:
    loss = FeatureDistance(random_pictures(1, 2, 3, 3))
    assert torch.autograd.gradcheck(loss, (random_pictures(1, 2, 3, 3, seed=1).requires_grad_(),))


def test_the_style_s_share_is_the_area_where_it_goes_up_to_128_by_96_pixels() -> None:
    assert style_share((384, 512), None) == style_share((96, 128), None) == 1
    assert style_share((24, 32), None) == pytest.approx(1 / 16)
    masks = torch.zeros(2, 2, 96, 128)
    masks[0, 0, :48], masks[0, 1, :24] = 1, 1  # the second within the first
    masks[1, 0] = 0.25
    torch.testing.assert_close(style_share((96, 128), masks), torch.tensor([0.5, 0.25]))
    assert float(style_share((400, 400), torch.ones(1, 1, 400, 400))) == 1


def test_mean_losses_are_the_mean_of_each_term() -> None:
    first = {"content": 1.0, "style": 2.0, "variation": 3.0, "total": 4.0}
    second = {"content": 3.0, "style": 6.0, "variation": 5.0, "total": 0.0}
    assert mean_losses([first, second]) == {"content": 2.0, "style": 4.0, "variation": 4.0, "total": 2.0}
