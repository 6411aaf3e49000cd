"""Layers with an equalized learning rate, and pixel norm, against plain computations and differences."""

import math

import pytest
import torch
import torch.nn.functional as F

from gan.networks.equalized import (
    EqualizedConv2d,
    EqualizedLinear,
    EqualizedNearestConv2d,
    initialize,
    pixel_norm,
)


def test_weights_are_scaled_to_he_s_deviation() -> None:
    conv = EqualizedConv2d(3, 5, 3)
    initialize(conv, 0)
    images = torch.randn(2, 3, 6, 6)
    expected = F.conv2d(images, conv.weight * math.sqrt(2 / 1.04 / 27), padding=1)
    torch.testing.assert_close(conv(images), expected)
    linear = EqualizedLinear(7, 2, gain=1)
    initialize(linear, 0)
    with torch.no_grad():
        linear.bias.copy_(torch.tensor([3.0, -1.0]))
    rows = torch.randn(4, 7)
    torch.testing.assert_close(linear(rows), rows @ linear.weight.T / math.sqrt(7) + linear.bias)


def test_resizing_and_convolving_in_one_step_gives_what_both_give() -> None:
    layer = EqualizedNearestConv2d(3, 5)
    initialize(layer, 0)
    with torch.no_grad():
        assert layer.bias is not None
        layer.bias.copy_(torch.arange(5.0))
    images = torch.randn(2, 3, 4, 4)
    resized = F.interpolate(images, scale_factor=2, mode="nearest")
    torch.testing.assert_close(layer(images), EqualizedConv2d.forward(layer, resized), rtol=1e-4, atol=1e-5)


def test_layers_keep_the_variance_and_the_seed_decides_the_weights() -> None:
    first, second = (torch.nn.Sequential(*(EqualizedLinear(1024, 1024) for _ in range(6))) for _ in range(2))
    initialize(first, 3)
    state = torch.get_rng_state()
    initialize(second, 3)
    assert torch.equal(state, torch.get_rng_state())
    assert all(
        torch.equal(one, two) for one, two in zip(first.parameters(), second.parameters(), strict=True)
    )
    x = torch.randn(200, 1024)
    for layer in first:
        x = F.leaky_relu(layer(x), 0.2)
    assert 0.7 < x.square().mean() < 1.4


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 2, 2)])
def test_pixel_norm_divides_by_the_root_mean_square(shape: tuple[int, ...]) -> None:
    features = torch.randn(shape, dtype=torch.float64)
    normed = pixel_norm(features)
    torch.testing.assert_close(normed.square().mean(1), torch.ones_like(features[:, 0]), rtol=1e-4, atol=0)
    torch.testing.assert_close(normed / normed[:, :1], features / features[:, :1], rtol=1e-4, atol=1e-6)


def test_the_gradient_of_pixel_norm_is_that_of_finite_differences() -> None:
    features = torch.randn(2, 3, 2, 2) * 2
    step, weights = 1e-2, torch.randn(2, 3, 2, 2)
    leaf = features.clone().requires_grad_()
    (pixel_norm(leaf) * weights).sum().backward()
    for place in ((0, 0, 0, 0), (1, 2, 1, 0), (0, 1, 1, 1)):
        more, less = features.clone(), features.clone()
        more[place] += step
        less[place] -= step
        slope = ((pixel_norm(more) - pixel_norm(less)) * weights).sum() / (2 * step)
        assert leaf.grad is not None
        torch.testing.assert_close(leaf.grad[place], slope, rtol=2e-2, atol=2e-3)
