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
from gan.networks.growing_blocks import activated


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


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 2, 2)])
def test_the_gradient_of_pixel_norm_is_that_of_finite_differences(shape: tuple[int, ...]) -> None:
    features = (torch.randn(shape, dtype=torch.float64) * 2).requires_grad_()
    assert torch.autograd.gradcheck(pixel_norm, (features,))


def test_a_layer_keeps_two_tensors_for_its_gradient() -> None:
    first, second, kept = EqualizedConv2d(8, 8, 3), EqualizedConv2d(8, 8, 3), dict[int, int]()
    features = torch.randn(2, 8, 16, 16, requires_grad=True)

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = activated(second(activated(first(features))))
    result.sum().backward()
    large = [size for size in kept.values() if size >= features.nbytes]
    assert large == [features.nbytes] * (1 + 2 + 2), (
        "what goes in; of each layer the rectified and the normed"
    )
