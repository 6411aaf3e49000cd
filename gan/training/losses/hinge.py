"""hinge on the discriminator's logits (Lim and Ye 2017)."""

import torch.nn.functional as F
from torch import Tensor

from gan.training.losses import Loss
from gan.training.losses._logits import minus_mean, wide


def discriminator(real: Tensor, fake: Tensor, smoothing: Tensor | float = 0.0) -> Tensor:
    """Lim and Ye 2017, equation 2; smoothing has no meaning here and is not used."""
    return F.relu(1 - wide(real)).mean() + F.relu(1 + wide(fake)).mean()


LOSS = Loss(discriminator=discriminator, generator=minus_mean)
