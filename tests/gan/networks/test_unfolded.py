"""Unfolded convolutions against PyTorch's convolutions in double precision."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gan.config import NetworkConfig
from gan.networks import build_discriminator
from gan.networks.unfolded import UnfoldedConv2d, UnfoldedConvTranspose2d, unfold

Layer = UnfoldedConv2d | UnfoldedConvTranspose2d


@pytest.mark.parametrize(
    ("layer", "reference", "shape"),
    [
        (UnfoldedConv2d(5, 12, 4, 2, 1, bias=False), F.conv2d, (2, 5, 8, 6)),
        (UnfoldedConvTranspose2d(12, 5, 4, 2, 1, bias=False), F.conv_transpose2d, (2, 12, 4, 3)),
    ],
)
def test_result_and_gradients_are_those_of_the_convolution_to_bf16_accuracy(
    layer: Layer, reference: Callable[..., Tensor], shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layer.to(memory_format=torch.channels_last)
    layer.weight.data = layer.weight.data.bfloat16().float()
    input = torch.randn(shape).bfloat16().to(memory_format=torch.channels_last).requires_grad_()
    called: list[str] = []
    for base in (torch.nn.Conv2d, torch.nn.ConvTranspose2d):
        monkeypatch.setattr(base, "forward", lambda *_: called.append("plain"))
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(input)
    assert called == []  # it did unfold
    gradient = torch.randn(output.shape).bfloat16()
    output.backward(gradient)

    wide, weight = (tensor.detach().double().requires_grad_() for tensor in (input, layer.weight))
    expected = reference(wide, weight, stride=2, padding=1)
    expected.backward(gradient.double())
    assert input.grad is not None and layer.weight.grad is not None
    for found, value in ((output, expected), (input.grad, wide.grad), (layer.weight.grad, weight.grad)):
        scale = float(value.detach().abs().max())
        torch.testing.assert_close(found.double(), value, rtol=0, atol=scale * 2**-7)


def test_what_an_unfolded_convolution_gives_may_be_changed_in_place() -> None:
    layers = UnfoldedConv2d(3, 64, 4, 2, 1, bias=False), UnfoldedConvTranspose2d(64, 3, 4, 2, 1, bias=False)
    for layer in layers:
        input = torch.randn(2, layer.in_channels, 8, 8).to(memory_format=torch.channels_last)
        gradients = []
        for activation in (F.leaky_relu, F.leaky_relu_):
            with torch.autocast("cpu", torch.bfloat16):
                activation(layer(input), 0.2).float().square().sum().backward()
            gradients.append(layer.weight.grad)
            layer.weight.grad = None
        assert gradients[0] is not None and torch.equal(*gradients)


def test_in_bf16_small_pictures_train_whatever_the_width_and_the_batch() -> None:
    """The discriminator's first layer unfolds where its pixels are few and its channels many."""
    torch.manual_seed(0)
    critic = build_discriminator(NetworkConfig(width=64), resolution=16, channels=3)
    images = torch.randn(16, 3, 16, 16).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        critic(images).float().sum().backward()
    found = critic.from_image.weight.grad.clone()
    critic.zero_grad()
    critic(images).sum().backward()  # in fp32 nothing is unfolded
    exact = critic.from_image.weight.grad
    assert float((found - exact).norm() / exact.norm()) < 0.1


def test_unfolding_is_pytorch_s_with_channels_innermost() -> None:
    images = torch.randn(2, 3, 6, 8).to(memory_format=torch.channels_last)
    expected = F.unfold(images, 4, padding=1, stride=2)  # (N, C * 16, places)
    expected = expected.view(2, 3, 16, 12).permute(0, 3, 2, 1).reshape(24, 48)
    torch.testing.assert_close(unfold(images), expected, rtol=0, atol=0)


def test_in_fp32_the_layers_are_plain_convolutions() -> None:
    layer = UnfoldedConv2d(2, 8, 4, 2, 1, bias=False)
    inputs = torch.randn(1, 2, 4, 4)
    assert torch.equal(layer(inputs), F.conv2d(inputs, layer.weight, stride=2, padding=1))
