"""Self-attention against the sums of the paper, written out, and by finite differences."""

import pytest
import torch
from torch import Tensor

from gan.networks.families.resnet.attention import SelfAttention
from gan.networks.normalization import SpectralConv2d


def layer_of(channels: int, *, is_twice_differentiable: bool) -> SelfAttention:
    """With random weights, so that it does something."""
    layer = SelfAttention(channels, is_twice_differentiable=is_twice_differentiable).double()
    randomness = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(generator=randomness)
    return layer


def features(*shape: int) -> Tensor:
    randomness = torch.Generator().manual_seed(0)
    return torch.randn(shape, dtype=torch.float64, generator=randomness).requires_grad_()


def written_out(layer: SelfAttention, x: Tensor) -> Tensor:
    """Equations 1 to 3, pixels numbered i and j; x: (N, C, H, W)."""
    pixels = x.flatten(2)
    f, g, h = (
        torch.einsum("dc,nci->ndi", each.weight[:, :, 0, 0], pixels)
        for each in (layer.key, layer.query, layer.value)
    )
    s = torch.einsum("ndi,ndj->nij", f, g).exp()
    beta = s / s.sum(dim=1, keepdim=True)  # how much j attends to i
    o = torch.einsum("cd,ndi,nij->ncj", layer.back.weight[:, :, 0, 0], h, beta)
    return x + layer.strength * o.view_as(x)


@pytest.mark.parametrize("is_twice_differentiable", [False, True])
@pytest.mark.parametrize("channels", [4, 24])
def test_result_and_gradients_are_those_of_the_paper_s_sums(
    channels: int, is_twice_differentiable: bool
) -> None:
    layer = layer_of(channels, is_twice_differentiable=is_twice_differentiable)
    x = features(2, channels, 3, 5)
    found, expected = layer(x), written_out(layer, x)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn(found.shape, dtype=found.dtype, generator=torch.Generator().manual_seed(2))
    gradients = (torch.autograd.grad(each, [x, *layer.parameters()], upstream) for each in (found, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("is_twice_differentiable", [False, True])
def test_gradients_are_finite_differences(is_twice_differentiable: bool) -> None:
    layer = layer_of(4, is_twice_differentiable=is_twice_differentiable)
    assert torch.autograd.gradcheck(layer, features(1, 4, 2, 3))


def test_where_the_gradient_is_penalized_it_is_differentiable_again() -> None:
    layer = layer_of(4, is_twice_differentiable=True)
    assert torch.autograd.gradgradcheck(layer, features(1, 4, 2, 3))


@pytest.mark.parametrize("is_spectral", [False, True])
def test_it_begins_as_the_identity_and_an_eighth_of_the_channels_attends(is_spectral: bool) -> None:
    layer = SelfAttention(24, is_spectral=is_spectral)
    x = torch.randn(2, 24, 4, 4)
    assert torch.equal(layer(x), x)
    assert layer.query.weight.shape == layer.key.weight.shape == layer.value.weight.shape == (3, 24, 1, 1)
    assert layer.back.weight.shape == (24, 3, 1, 1)
    assert all(isinstance(conv, SpectralConv2d) == is_spectral for conv in (layer.query, layer.back))


def test_in_bf16_it_stays_in_bf16_and_near_the_exact_result() -> None:
    layer = layer_of(16, is_twice_differentiable=False).float()
    with torch.no_grad():
        for conv in (layer.query, layer.key):
            conv.weight.mul_(0.2)
    x = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(3))
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), layer(x), rtol=0.05, atol=0.1)
