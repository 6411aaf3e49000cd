"""Optimizers by name, one module each: how the pixels of a picture are optimized at one size.

A new optimizer is a new module with a constant `OPTIMIZER`; the first line of its docstring is its line in
`--help`. Nothing here imports PyTorch, so that a command line can list the optimizers before it is loaded.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from common.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from styletransfer.config import StyleConfig
    from styletransfer.transfer.losses import Losses
    from styletransfer.transfer.objective import Evaluated

Evaluate = Callable[["Tensor"], "Evaluated"]
"""Pictures (N, C, H, W) in [0, 1] -> the objective and its gradient."""

Report = Callable[["list[Losses]"], None]
"""Called with the losses of each picture after every evaluation."""


class Optimized(NamedTuple):
    """Pictures in [0, 1], and how many evaluations they took, at most as many as allowed.

    stayed_finite: false where a loss or a gradient was not finite and the optimizer stepped back. has_fallen:
    false where the loss could have fallen, in several evaluations from a gradient that was not zero, and did
    not.
    """

    pictures: "Tensor"
    evaluations: int
    stayed_finite: bool
    has_fallen: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """A way to optimize pixels, and what the planning of a batch must know about it."""

    optimize: "Callable[[Tensor, Evaluate, int, StyleConfig, Report], Optimized]"
    """(start (N, C, H, W), objective, number of evaluations, settings, report) -> the optimized pictures.
    Raises ConfigError when the losses do not stay finite."""
    takes_batches: bool
    """Whether each picture of a batch gets the steps that it would get alone."""
    bytes_per_pixel: int
    """Memory at its peak for the picture, its gradient and the optimizer's state."""


OPTIMIZERS: Registry[Optimizer] = Registry("styletransfer.transfer.optimizers", "OPTIMIZER", what="optimizer")
