"""cross-entropy, the generator maximizes log D (Goodfellow et al. 2014)."""

import torch.nn.functional as F
from torch import Tensor

from gan.training.losses import Loss
from gan.training.losses._logits import wide


def discriminator(real: Tensor, fake: Tensor, smoothing: Tensor | float = 0.0) -> Tensor:
    """Cross-entropy of real against 1 - smoothing and of fake against 0.

    Goodfellow et al. 2014, section 3; one-sided smoothing Salimans et al. 2016, section 3.4.
    """
    real, fake = wide(real), wide(fake)
    return (F.softplus(-real) + smoothing * real).mean() + F.softplus(fake).mean()


def generator(fake: Tensor) -> Tensor:
    """-log D(G(z)), Goodfellow et al. 2014, section 3."""
    return F.softplus(-wide(fake)).mean()


LOSS = Loss(discriminator=discriminator, generator=generator, smooths=True)
