"""difference of mean logits, with a gradient penalty (Gulrajani et al. 2017)."""

import torch
from torch import Tensor, nn

from gan.training.losses import Loss
from gan.training.losses._logits import minus_mean, wide


def discriminator(real: Tensor, fake: Tensor, smoothing: Tensor | float = 0.0) -> Tensor:
    """Minus the critic's estimate of the distance, Arjovsky et al. 2017; smoothing is not used."""
    return wide(fake).mean() - wide(real).mean()


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Mean squared distance to 1 of the critic's gradient norm between real and fake images.

    real, fake: (N, C, H, W); shares: (N,) in [0, 1], how far from fake to real each point is.
    Gulrajani et al. 2017, equation 3 without its weight. Differentiable in the critic's parameters.
    """
    between = (
        torch.lerp(fake.to(real.dtype), real, shares[:, None, None, None].to(real.dtype))
        .detach()
        .requires_grad_()
    )
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms: Tensor = torch.linalg.vector_norm(wide(gradient).flatten(1), dim=1)
    return (norms - 1).square().mean()


# layer normalization: the penalty is on the gradient of each image alone (Gulrajani et al. 2017, section 4)
LOSS = Loss(discriminator=discriminator, generator=minus_mean, penalty=gradient_penalty, critic_norm="layer")
