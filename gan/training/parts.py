"""A rank's share of a batch cut into parts, of which only one takes memory at a time."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan.training.view import StepRegularization


class Part(NamedTuple):
    """What a step needs of some images."""

    real: Tensor
    """(N, C, H, W) in [-1, 1]."""
    latents: Tensor
    """(N, numbers of an image)."""
    shares: Tensor | None
    """One for each pack, in [0, 1), where the loss has a penalty."""
    regularization: StepRegularization


def cut_into_parts(
    real: Tensor,
    latents: Tensor,
    shares: Tensor | None,
    regularization: StepRegularization,
    count: int,
) -> list[Part]:
    """The share as `count` parts of equal size, which must divide it and hold whole packs."""
    if count == 1:
        return [Part(real, latents, shares, regularization)]
    size, packs = len(real) // count, 0 if shares is None else len(shares) // count
    parts = []
    for number in range(count):
        part = slice(number * size, (number + 1) * size)
        own = None if shares is None else shares[number * packs : (number + 1) * packs]
        parts.append(Part(real[part], latents[part], own, regularization.of_part(part)))
    return parts


@contextlib.contextmanager
def graphs_kept(generator: nn.Module, needed: bool, parts: list[Part]) -> Iterator[None]:
    """Within the block images are generated with graphs for a backward pass, where they are needed.

    Never those of several parts: they would take the memory that parts are to save. Such images are generated
    again for the backward pass, so buffers such as BatchNorm's statistics, which that moves, stay as they
    are.
    """
    if len(parts) == 1:
        with torch.set_grad_enabled(needed):
            yield
        return
    buffers = list(generator.buffers()) if needed else []
    before = [buffer.clone() for buffer in buffers]
    with torch.no_grad():
        yield
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)


def joined(parts: list[Tensor]) -> Tensor:
    """The tensors of all parts as one, (N, ...)."""
    return parts[0] if len(parts) == 1 else torch.cat([part.detach() for part in parts])


def mean_of(parts: list[Tensor]) -> Tensor:
    """The mean of numbers of parts of equal size."""
    return parts[0] if len(parts) == 1 else torch.stack(parts).mean(dim=0)
