"""Convolutions whose gradients are differentiated again as what they are: convolutions, and their gradients.

A penalty on a gradient (R1, the Wasserstein loss's, path length) needs the weights' gradient of a gradient.
PyTorch computes that as a convolution whose kernel is as large as the image (torch 2.14,
`_convolution_double_backward`), which no library is made for. On a CPU with AMX, in bf16, oneDNN then gives
numbers that are far from the gradient (3x3, 8 images of 64 x 64 pixels or more), or divides by zero,
which ends the process (1x1, 128 x 128 pixels, one thread). Here it is what it is by its definition: the
gradient of the weights of a convolution, as in every other backward pass.
"""

import contextlib
import contextvars
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class TwiceDifferentiable(TorchFunctionMode):
    """A block within which 2-d convolutions of all layers are differentiable as often as needed.

    Their results are the same. What is computed again later, as by gradient checkpointing, has to be in such
    a block then, too: `same_convolutions`. May be entered more than once.
    """

    _depth: ClassVar = contextvars.ContextVar("depth", default=0)

    @classmethod
    def is_active(cls) -> bool:
        """Whether the caller is in such a block."""
        return cls._depth.get() > 0

    def __enter__(self) -> Self:
        self._depth.set(self._depth.get() + 1)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        self._depth.set(self._depth.get() - 1)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Calls `func`, or what stands here for a convolution."""
        return _OWN.get(func, func)(*args, **(kwargs or {}))


def same_convolutions() -> contextlib.AbstractContextManager[Any]:
    """A block for later in which convolutions are what they are at the time of this call."""
    return TwiceDifferentiable() if TwiceDifferentiable.is_active() else contextlib.nullcontext()


class _Shape(NamedTuple):
    """How a convolution moves over its input; pairs for height and width."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    is_transposed: bool
    output_padding: Sequence[int]
    groups: int

    def back(self, input: Tensor, output: Tensor, weight: Tensor) -> "_Shape":
        """The convolution from the output's gradient to the input's, with the same weights."""
        if self.is_transposed:
            return self._replace(is_transposed=False, output_padding=(0, 0))
        sides = zip(
            input.shape[2:],
            output.shape[2:],
            weight.shape[2:],
            self.stride,
            self.padding,
            self.dilation,
            strict=True,
        )
        missed = [
            side - ((out - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1)
            for side, out, kernel, stride, padding, dilation in sides
        ]
        return self._replace(is_transposed=True, output_padding=missed)


_convolve, _backward = torch.ops.aten.convolution, torch.ops.aten.convolution_backward


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, shape: _Shape) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.shape = shape
        result: Tensor = _convolve(input, weight, bias, *shape)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        of_input = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            back = ctx.shape.back(input, gradient, weight)
            of_input = _Convolution.apply(gradient, weight, None, back)
        # the gradient at an image, the first one of a penalty, needs none of the weights
        if ctx.needs_input_grad[1] and torch._C._will_engine_execute_node(ctx.next_functions[1][0]):
            of_weight = _WeightGradient.apply(gradient, input, weight, ctx.shape)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_input, of_weight, of_bias, None


class _WeightGradient(torch.autograd.Function):
    """The gradient of a convolution's weights, which is linear in the output's gradient and in the input."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, input: Tensor, weight: Tensor, shape: _Shape) -> Tensor:
        ctx.save_for_backward(gradient, input)
        ctx.shape = shape
        # of the weights only the shape counts
        only_weights = [False, True, False]
        of_weight: Tensor = _backward(gradient, input, weight, None, *shape, only_weights)[1]
        return of_weight

    @staticmethod
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor | None, ...]:
        gradient, input = ctx.saved_tensors
        of_gradient = of_input = None
        if ctx.needs_input_grad[0]:
            of_gradient = _Convolution.apply(input, direction, None, ctx.shape)
        if ctx.needs_input_grad[1]:
            back = ctx.shape.back(input, gradient, direction)
            of_input = _Convolution.apply(gradient, direction, None, back)
        return of_gradient, of_input, None, None


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    if isinstance(padding, str) or input.ndim != 4:
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
    shape = _Shape(_pair(stride), _pair(padding), _pair(dilation), False, (0, 0), groups)
    return _convolved(input, weight, bias, shape)


def _conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    if input.ndim != 4:
        return torch.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)
    shape = _Shape(_pair(stride), _pair(padding), _pair(dilation), True, _pair(output_padding), groups)
    return _convolved(input, weight, bias, shape)


_OWN: dict[Any, Callable[..., Tensor]] = {
    torch.conv2d: _conv2d,
    torch.conv_transpose2d: _conv_transpose2d,
}


def _convolved(input: Tensor, weight: Tensor, bias: Tensor | None, shape: _Shape) -> Tensor:
    # a function of our own is not on autocast's list
    device = input.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        input, weight = input.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    # a view, since autograd does not say whether it needs the gradient of a leaf
    result: Tensor = _Convolution.apply(input, weight.view_as(weight), bias, shape)
    return result


def _pair(value: Any) -> Sequence[int]:
    return (value, value) if isinstance(value, int) else tuple(value)
