"""Functions of logits that several losses share."""

import torch
from torch import Tensor


def wide(logits: Tensor) -> Tensor:
    """The logits in fp32 where they are half precision, since a mean of many loses digits there."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def minus_mean(fake: Tensor) -> Tensor:
    """The generator's side of hinge and Wasserstein: minus the mean logit of the generated images."""
    return -wide(fake).mean()
