"""Losses by name, one module each: what the two players minimize.

A new loss is a new module with a constant `LOSS`; the first line of its docstring is its line in `--help`.
Nothing here imports PyTorch, so that a command line can list the losses before it is loaded.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from common.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gan.config import LossConfig
    from gan.networks import CriticNorm


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """A pair of losses on logits, and what it demands of the discriminator.

    The functions take logits of shape (N,) of any float dtype and return an fp32 (or fp64) scalar, the mean
    over the batch.
    """

    discriminator: "Callable[[Tensor, Tensor, Tensor | float], Tensor]"
    """(real logits, fake logits, label smoothing 0..0.5) -> scalar."""
    generator: "Callable[[Tensor], Tensor]"
    """(fake logits) -> scalar."""
    boundary: float = 0.0
    """Logit above which the discriminator says real."""
    penalty: "Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor] | None" = None
    """(discriminator, real (N, C, H, W), fakes (N, C, H, W), random numbers (N,) in [0, 1)) -> scalar that is
    added to the discriminator's loss, times `--gradient-penalty`; None for no penalty."""
    smooths: bool = False
    """Whether the discriminator's loss uses the label smoothing."""
    critic_norm: "CriticNorm" = "batch"
    """How the discriminator normalizes: "layer" where a penalty must judge each image alone."""

    def penalty_weight(self, config: "LossConfig") -> float:
        """Factor of the penalty, 0 for none."""
        return 0.0 if self.penalty is None else config.gradient_penalty


LOSSES: Registry[Loss] = Registry("gan.training.losses", "LOSS", what="loss")
