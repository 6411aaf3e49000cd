"""Residual blocks against plain ones: resizing and convolving apart, as the paper's figures draw it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import NetworkConfig
from gan.networks.families.resnet.blocks import DownBlock, PlainBlock, UpBlock
from gan.networks.normalization import SpectralConv2d
from gan.networks.resized_convolution import PooledConv2d, SpectralPooledConv2d

BATCH = NetworkConfig(family="resnet")
SPECTRAL = NetworkConfig(family="resnet", spectral_norm=True)


def weight_of(layer: nn.Module) -> Tensor:
    """A layer's weight (outputs, inputs, ...), over its largest singular value where it is spectral."""
    weight = layer.weight
    if isinstance(layer, SpectralConv2d):
        matrix = weight.flatten(1)
        # by the layer's own direction, which a test has moved to the singular one
        return weight / torch.dot(layer.u, matrix @ F.normalize(matrix.mT @ layer.u, dim=0))
    return weight


def normalized(layer: nn.Module, features: Tensor) -> Tensor:
    if isinstance(layer, nn.BatchNorm2d):
        mean, variance = features.mean((0, 2, 3)), features.var((0, 2, 3), correction=0)
        shape = (1, -1, 1, 1)
        scaled = (features - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt()
        return scaled * layer.weight.view(shape) + layer.bias.view(shape)
    if isinstance(layer, nn.GroupNorm):
        mean, variance = features.mean((1, 2, 3), True), features.var((1, 2, 3), correction=0, keepdim=True)
        scaled = (features - mean) / (variance + 1e-5).sqrt()
        return scaled * layer.weight.view(1, -1, 1, 1) + layer.bias.view(1, -1, 1, 1)
    return features


def doubled(features: Tensor) -> Tensor:
    return features.repeat_interleave(2, 2).repeat_interleave(2, 3)


def halved(features: Tensor) -> Tensor:
    return features.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))


def plain_up(block: UpBlock, x: Tensor) -> Tensor:
    kernel = block.first.weight.flip(2, 3).transpose(0, 1)  # stored as a transposed convolution has it
    h = F.conv2d(doubled(normalized(block.first_norm, x).relu()), kernel, padding=1)
    h = F.conv2d(normalized(block.second_norm, h).relu(), block.second.weight, padding=1)
    return h + F.conv2d(doubled(x), block.shortcut.weight)


def plain_down(block: DownBlock, x: Tensor, *, is_first: bool) -> Tensor:
    h = x if is_first else normalized(block.before[0], x).relu()
    h = F.conv2d(h, weight_of(block.first), block.first.bias, padding=1)
    h = normalized(block.between[0], h).relu()
    h = halved(F.conv2d(h, weight_of(block.second), block.second.bias, padding=1))
    return h + halved(F.conv2d(x, weight_of(block.shortcut), block.shortcut.bias))


def with_random_weights(block: nn.Module) -> nn.Module:
    randomness = torch.Generator().manual_seed(1)
    block.double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(generator=randomness)
    return block


def assert_same_with_gradients(block: nn.Module, found: Tensor, expected: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(found, expected)
    upstream = torch.randn(found.shape, dtype=found.dtype, generator=torch.Generator().manual_seed(2))
    wanted = [*inputs, *block.parameters()]
    gradients = (torch.autograd.grad(each, wanted, upstream, retain_graph=True) for each in (found, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def features(*shape: int) -> Tensor:
    randomness = torch.Generator().manual_seed(0)
    return torch.randn(shape, dtype=torch.float64, generator=randomness).requires_grad_()


def test_the_generator_s_block_is_the_plain_one_with_its_gradients() -> None:
    block = with_random_weights(UpBlock(5, 3, BATCH))
    x = features(4, 5, 4, 6)
    found = block(x)
    assert found.shape == (4, 3, 8, 12)
    assert isinstance(block, UpBlock)
    assert_same_with_gradients(block, found, plain_up(block, x), x)


@pytest.mark.parametrize("is_first", [False, True])
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_the_discriminator_s_block_is_the_plain_one_with_its_gradients(norm: str, is_first: bool) -> None:
    block = with_random_weights(DownBlock(3, 5, BATCH, norm, is_first=is_first))  # type: ignore[arg-type]
    x = features(4, 3, 8, 6)
    found = block(x)
    assert found.shape == (4, 5, 4, 3)
    assert isinstance(block, DownBlock)
    assert_same_with_gradients(block, found, plain_down(block, x, is_first=is_first), x)


@pytest.mark.parametrize("is_first", [False, True])
def test_spectral_weights_of_a_block_are_divided_by_their_largest_singular_value(is_first: bool) -> None:
    block = with_random_weights(DownBlock(3, 5, SPECTRAL, "batch", is_first=is_first))
    assert isinstance(block, DownBlock)
    for layer in block.modules():
        if isinstance(layer, SpectralConv2d):
            left, singular, _ = np.linalg.svd(layer.weight.detach().flatten(1).numpy(), full_matrices=False)
            layer.u.copy_(torch.from_numpy(left[:, 0]))
            matrix = weight_of(layer).detach().flatten(1).numpy()
            np.testing.assert_allclose(matrix * singular[0], layer.weight.detach().flatten(1).numpy())
    block.eval()  # the directions are exact: they stay
    x = features(2, 3, 6, 6)
    torch.testing.assert_close(block(x), plain_down(block, x, is_first=is_first))


def test_the_block_that_keeps_the_side_adds_two_convolutions_to_its_input() -> None:
    block = with_random_weights(PlainBlock(4, BATCH, "batch"))
    assert isinstance(block, PlainBlock)
    x = features(3, 4, 5, 5)
    h = F.conv2d(normalized(block.before[0], x).relu(), block.first.weight, padding=1)
    h = F.conv2d(normalized(block.between[0], h).relu(), block.second.weight, block.second.bias, padding=1)
    assert_same_with_gradients(block, block(x), x + h, x)


def test_a_convolution_joined_with_averaging_is_both_steps_also_in_its_second_derivative() -> None:
    layer = PooledConv2d(2, 3).double()
    x = features(2, 2, 6, 4)
    expected = F.avg_pool2d(F.conv2d(x, layer.weight, layer.bias, padding=1), 2)
    assert_same_with_gradients(layer, layer(x), expected, x)
    assert torch.autograd.gradgradcheck(lambda input: layer(input).square(), x)


def test_a_pass_moves_the_direction_of_a_spectral_layer_only_in_training() -> None:
    layer = SpectralPooledConv2d(2, 3)
    before = layer.u.clone()
    layer.eval()(torch.randn(1, 2, 4, 4))
    assert torch.equal(layer.u, before)
    layer.train()(torch.randn(1, 2, 4, 4))
    assert not torch.equal(layer.u, before)


@pytest.mark.parametrize("config", [BATCH, SPECTRAL])
def test_no_bias_stands_before_a_batch_norm_that_would_subtract_it(config: NetworkConfig) -> None:
    assert [name for name, _ in UpBlock(3, 4, BATCH).named_parameters() if "bias" in name] == [
        "first_norm.bias",
        "second_norm.bias",
    ]
    for block in (DownBlock(3, 4, config, "batch"), PlainBlock(4, config, "batch")):
        assert (block.first.bias is None) == (not config.spectral_norm)
        assert block.second.bias is not None
