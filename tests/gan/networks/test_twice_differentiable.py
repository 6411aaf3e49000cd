"""Convolutions that are differentiated twice: PyTorch's own in double precision, and finite differences."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gan.networks.families import FAMILIES
from gan.networks.twice_differentiable import TwiceDifferentiable, same_convolutions
from gan.training.run import GanRun
from tests.gan.training.runs import config_of, few_images

Convolution = Callable[..., Tensor]
KINDS: dict[str, tuple[Convolution, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1x1": (F.conv2d, (2, 3, 4, 5), (2, 3, 1, 1), {}),
    "3x3": (F.conv2d, (2, 3, 4, 5), (2, 3, 3, 3), {"padding": 1}),
    "valid": (F.conv2d, (2, 3, 4, 5), (2, 3, 3, 3), {"padding": (0, 1)}),
    "strided": (F.conv2d, (2, 3, 6, 8), (2, 3, 4, 4), {"stride": 2, "padding": 1}),
    "a rest is left": (F.conv2d, (2, 2, 8, 7), (2, 2, 3, 3), {"stride": (3, 2)}),
    "dilated": (F.conv2d, (2, 2, 7, 6), (3, 2, 3, 3), {"dilation": 2, "padding": 2}),
    "grouped": (F.conv2d, (2, 4, 4, 4), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    "transposed": (F.conv_transpose2d, (2, 3, 3, 4), (3, 2, 4, 4), {"stride": 2, "padding": 1}),
    "transposed, enlarged": (
        F.conv_transpose2d,
        (2, 4, 3, 3),
        (4, 1, 3, 3),
        {"stride": 2, "output_padding": 1, "groups": 2},
    ),
}


def penalty(convolution: Convolution, input: Tensor, *others: Tensor, **settings: Any) -> Tensor:
    """A penalty on the gradient of what is not linear in the input."""
    result = convolution(input, *others, **settings)
    (gradient,) = torch.autograd.grad(result.float().tanh().sum(), input, create_graph=True)
    return gradient.float().square().sum()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_all_orders_are_those_of_finite_differences(kind: str) -> None:
    convolution, *shapes, settings = KINDS[kind]
    torch.manual_seed(0)
    input, weight = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    groups = settings.get("groups", 1) if convolution is F.conv_transpose2d else 1
    outer = weight.shape[1] * groups if convolution is F.conv_transpose2d else weight.shape[0]
    bias = torch.randn(outer, dtype=torch.float64, requires_grad=True)

    def convolved(*tensors: Tensor) -> Tensor:
        return convolution(*tensors, **settings)

    with TwiceDifferentiable():
        ours = convolved(input, weight, bias)
        assert "_Convolution" in str(ours.grad_fn)
        assert torch.autograd.gradcheck(convolved, (input, weight, bias))
        assert torch.autograd.gradgradcheck(convolved, (input, weight, bias))
    assert torch.equal(ours, convolved(input, weight, bias))


@pytest.mark.parametrize(
    ("shape", "weight_shape"),
    [((8, 8, 256, 256), (8, 8, 3, 3)), ((32, 3, 128, 128), (5, 3, 1, 1))],
    ids=["3x3 at 256 pixels", "1x1 at 128 pixels"],
)
def test_in_bf16_the_weights_gradient_of_a_penalty_is_right_for_large_images(
    shape: tuple[int, ...], weight_shape: tuple[int, ...]
) -> None:
    torch.set_num_threads(1)  # as a trial has; the second shape needs it to fail
    torch.manual_seed(0)
    input, weight = (torch.randn(size).bfloat16() for size in (shape, weight_shape))
    input = input.to(memory_format=torch.channels_last)
    found = []
    for cast in (Tensor.bfloat16, Tensor.float):
        tensors = [cast(tensor).requires_grad_() for tensor in (input, weight)]
        with TwiceDifferentiable():
            value = penalty(F.conv2d, *tensors, padding=weight.shape[-1] // 2)
        found.append(torch.autograd.grad(value, tensors[1])[0].float())
    assert float((found[0] - found[1]).norm()) < 0.02 * float(found[1].norm())


def test_autocast_casts_them_as_it_casts_pytorchs_own() -> None:
    torch.manual_seed(0)
    layer, input = torch.nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        plain = layer(input)
        with TwiceDifferentiable():
            own = layer(input)
    assert own.dtype == torch.bfloat16 and torch.equal(own, plain)


def test_same_convolutions_are_those_at_the_time_of_the_call_however_often_they_are_used() -> None:
    input, weight = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3, requires_grad=True)
    outside = same_convolutions()
    with TwiceDifferentiable():
        inside = same_convolutions()
        with TwiceDifferentiable():
            pass
        assert TwiceDifferentiable.is_active()
    assert not TwiceDifferentiable.is_active()
    for _ in range(2):
        for block, name in ((inside, "_Convolution"), (outside, "ConvolutionBackward0")):
            with block:
                assert name in str(F.conv2d(input, weight).grad_fn)


class KernelSides(TorchDispatchMode):
    """Collects the sides of the kernels of all convolutions."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.found |= set(args[1].shape[2:])
        return func(*args, **(kwargs or {}))


TERMS: dict[str, dict[str, Any]] = {
    "R1": {"regularization.r1": 1.0, "regularization.r1_every": 1},
    "Wasserstein": {"loss.name": "wasserstein"},
}


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("term", TERMS)
def test_no_kernel_of_a_step_is_larger_than_those_of_the_layers(family: str, term: str) -> None:
    of_style = {"network.path_length": 2.0, "network.path_length_every": 1} if family == "style" else {}
    values = {"network.family": family, "images": 16, "images_per_tick": 16, **TERMS[term], **of_style}
    sides = KernelSides()
    with sides:
        GanRun(config_of(values), few_images()).tick()
    assert sides.found and max(sides.found) <= 4
