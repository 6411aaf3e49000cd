"""Regularizers by name, one module each: what else a step does to keep the discriminator from winning.

A new regularizer is a new module with a constant `REGULARIZER` and a frozen, keyword-only dataclass
`Settings`, with rules in `__post_init__`: `RegularizationConfig` inherits from it, so its fields become flags
and settings by themselves. Its default must be that it does nothing. `gan.config` imports these modules, so
they must import neither that nor PyTorch; their functions may.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from common.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from gan.networks import CriticNorm


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """A step of a run, as far as a regularizer needs to know it."""

    seed: int
    step: int
    progress: float
    """Share of the run's images that were shown before, 0 to 1."""
    batch: int
    """Images of the step, over all ranks."""
    mine: slice
    """This rank's part of them."""
    image_shape: tuple[int, int, int]
    """(C, H, W)."""
    num_sets: int
    """Sets of images that are looked at: real, generated and, where it is 3, held-out ones."""
    adapts: bool
    """Whether the balance policy decides with which probability images are augmented."""
    device: "torch.device"


class Change(NamedTuple):
    """What one regularizer does in a step to the images that the discriminator sees."""

    function: "Callable[[Tensor, Tensor, Tensor], Tensor]"
    """(images (N, C, H, W) fp32, their random numbers, probability of an augmentation, scalar) -> images.
    It is compiled: all that differs from step to step must be in its arguments."""
    numbers: "Tensor"
    """(num_sets, N, ...) on the device: the random numbers of each set's images, this rank's share."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regularizer:
    """What a regularizer adds to a step; `settings` is a `RegularizationConfig`."""

    change: "Callable[[Any, Moment], Change | None] | None" = None
    """(settings, moment) -> what it does to the images, both real and generated; None: nothing in this step.
    The numbers must be those of the global batch, cut to the rank's share."""
    penalty: "Callable[[nn.Module, Tensor], Tensor] | None" = None
    """(discriminator, real images as it sees them (N, C, H, W)) -> scalar, added to its loss."""
    penalty_weight: Callable[[Any, int], float] = lambda settings, update: 0.0
    """(settings, updates of the discriminator so far) -> factor of the penalty in the next, 0 for none."""
    details: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Settings that have an effect only where another one is not at its default, with that one."""
    critic_norm: "Callable[[Any], CriticNorm]" = lambda settings: "batch"
    """(settings) -> "layer" where the discriminator must judge each image alone."""


REGULARIZERS: Registry[Regularizer] = Registry(
    "gan.training.regularization", "REGULARIZER", what="regularizer"
)


def settings_classes() -> list[type]:
    """The `Settings` of all regularizers, by name."""
    return [REGULARIZERS.module(name).Settings for name in REGULARIZERS]
