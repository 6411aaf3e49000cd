"""Gradient checkpointing: what a block computes in between is computed again when its gradients are.

Chen et al. 2016, "Training deep nets with sublinear memory cost". Between the passes only what goes into each
block is kept, which takes a fraction of the memory and one more forward pass. A block must compute the same
the second time: BatchNorm, which would count its images twice, and spectral normalization, whose vectors
move with every pass, do not.
"""

import contextlib
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gan.networks.twice_differentiable import same_convolutions


class Block(nn.Module):
    """A part of a network that draws no random numbers and changes no buffer."""

    recomputes = False
    """Whether it is computed twice."""

    def __call__(self, *inputs: Any) -> Any:
        """The output of `forward`."""
        if self.recomputes and torch.is_grad_enabled():
            # the older kind needs an input with gradients, and knows no gradients of gradients
            return checkpoint(
                super().__call__,
                *inputs,
                use_reentrant=False,
                context_fn=lambda: (contextlib.nullcontext(), same_convolutions()),
                preserve_rng_state=False,
            )
        return super().__call__(*inputs)


def recompute(network: nn.Module) -> None:
    """From now on all blocks of the network are computed twice."""
    for module in network.modules():
        if isinstance(module, Block):
            module.recomputes = True
