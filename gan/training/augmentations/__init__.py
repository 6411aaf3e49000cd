"""Augmentations by name, one module each: random changes of the images that the discriminator sees.

A new augmentation is a new module with a constant `AUGMENTATION`; the first line of its docstring says what
it does. Its name can then be in the list of `--augment`. Names are known without importing PyTorch.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from common.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """A change of images in which each image has random numbers of its own."""

    apply: "Callable[[Tensor, Tensor], Tensor]"
    """(images (N, C, H, W) fp32 in [-1, 1], random numbers (N, num_numbers) in [0, 1)) -> images.
    Differentiable, and of each image alone: nothing may depend on the others of the batch."""
    num_numbers: int
    """Random numbers that an image needs."""


AUGMENTATIONS: Registry[Augmentation] = Registry(
    "gan.training.augmentations", "AUGMENTATION", what="augmentation"
)
