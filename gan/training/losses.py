"""What the two players minimize, as pairs of functions on logits; not when, that is `gan.training.step`'s.

All take logits of shape (N,) of any float dtype and return an fp32 (or fp64) scalar, the mean over the batch.
"""

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import LossName


@dataclasses.dataclass(frozen=True)
class LossPair:
    """One adversarial game."""

    discriminator: Callable[[Tensor, Tensor, Tensor | float], Tensor]
    """(real logits, fake logits, label smoothing 0..0.5) -> scalar."""
    generator: Callable[[Tensor], Tensor]
    """(fake logits) -> scalar."""
    boundary: float
    """Logit above which the discriminator says real."""


def non_saturating_discriminator(real: Tensor, fake: Tensor, smoothing: Tensor | float = 0.0) -> Tensor:
    """Cross-entropy of real against 1 - smoothing and of fake against 0.

    Goodfellow et al. 2014, section 3; one-sided smoothing Salimans et al. 2016, section 3.4.
    """
    real, fake = _wide(real), _wide(fake)
    return (F.softplus(-real) + smoothing * real).mean() + F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """-log D(G(z)), Goodfellow et al. 2014, section 3."""
    return F.softplus(-_wide(fake)).mean()


def hinge_discriminator(real: Tensor, fake: Tensor, smoothing: Tensor | float = 0.0) -> Tensor:
    """Lim and Ye 2017, equation 2; smoothing has no meaning here and is not used."""
    return F.relu(1 - _wide(real)).mean() + F.relu(1 + _wide(fake)).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor, smoothing: Tensor | float = 0.0) -> Tensor:
    """Half the squared distance of real to 1 - smoothing and of fake to 0, Mao et al. 2017, equation 9."""
    return 0.5 * ((_wide(real) - (1 - smoothing)).square().mean() + _wide(fake).square().mean())


def least_squares_generator(fake: Tensor) -> Tensor:
    """Half the squared distance of fake to 1, Mao et al. 2017, equation 9."""
    return 0.5 * (_wide(fake) - 1).square().mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor, smoothing: Tensor | float = 0.0) -> Tensor:
    """Minus the critic's estimate of the distance, Arjovsky et al. 2017; the penalty is added in the step."""
    return _wide(fake).mean() - _wide(real).mean()


def raise_fake_logits(fake: Tensor) -> Tensor:
    """The generator's side of hinge and Wasserstein: minus the mean logit."""
    return -_wide(fake).mean()


LOSSES: dict[LossName, LossPair] = {
    "non-saturating": LossPair(non_saturating_discriminator, non_saturating_generator, 0.0),
    "hinge": LossPair(hinge_discriminator, raise_fake_logits, 0.0),
    "least-squares": LossPair(least_squares_discriminator, least_squares_generator, 0.5),
    "wasserstein": LossPair(wasserstein_discriminator, raise_fake_logits, 0.0),
}


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Mean squared distance to 1 of the critic's gradient norm between real and fake images.

    real, fake: (N, C, H, W); shares: (N,) in [0, 1], how far from fake to real each point lies.
    Gulrajani et al. 2017, equation 3 without its weight. Differentiable in the critic's parameters.
    """
    between = (
        torch.lerp(fake.to(real.dtype), real, shares[:, None, None, None].to(real.dtype))
        .detach()
        .requires_grad_()
    )
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms: Tensor = torch.linalg.vector_norm(_wide(gradient).flatten(1), dim=1)
    return (norms - 1).square().mean()


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
