"""squared distance of the logits to 1 and 0 (Mao et al. 2017)."""

from torch import Tensor

from gan.training.losses import Loss
from gan.training.losses._logits import wide


def discriminator(real: Tensor, fake: Tensor, smoothing: Tensor | float = 0.0) -> Tensor:
    """Half the squared distance of real to 1 - smoothing and of fake to 0, Mao et al. 2017, equation 9."""
    return 0.5 * ((wide(real) - (1 - smoothing)).square().mean() + wide(fake).square().mean())


def generator(fake: Tensor) -> Tensor:
    """Half the squared distance of fake to 1, Mao et al. 2017, equation 9."""
    return 0.5 * (wide(fake) - 1).square().mean()


LOSS = Loss(discriminator=discriminator, generator=generator, boundary=0.5, smooths=True)
