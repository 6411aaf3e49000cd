"""penalty on the discriminator's gradient at real images, with every loss (Mescheder et al. 2018)."""

import dataclasses
from typing import TYPE_CHECKING

from common.errors import require, require_between
from gan.training.regularization import Regularizer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gan.networks import CriticNorm


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the regularizer."""

    r1: float = 0.0
    """Weight (gamma) of the R1 penalty; 0: none. With it the discriminator normalizes layers, not batches."""
    r1_every: int = 4
    """Updates of the discriminator from one R1 penalty to the next, which counts so many times as much."""

    def __post_init__(self) -> None:
        require_between("--r1", self.r1, 0, 1e6)
        require(
            1 <= self.r1_every <= 1000, f"--r1-every must lie between 1 and 1000, not {self.r1_every}; try 4"
        )


def gradient_at_real(critic: "nn.Module", real: "Tensor") -> "Tensor":
    """Half the mean squared norm of the critic's gradient at the real images (N, C, H, W).

    Mescheder et al. 2018, "Which training methods for GANs do actually converge?", equation 9 without its
    weight. The images are those that the critic sees: augmented, noisy, packed. Differentiable in the
    critic's parameters.
    """
    import torch

    at = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(at).sum(), at, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean() / 2


def _weight(settings: Settings, update: int) -> float:
    """Lazy regularization, Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN",
    appendix B. Departure: Adam's settings stay, since the penalty is part of the loss of an update that is
    made anyway, instead of one of its own."""
    return settings.r1 * settings.r1_every if update % settings.r1_every == 0 else 0.0


def _critic_norm(settings: Settings) -> "CriticNorm":
    # BatchNorm would let the gradient at an image depend on the whole batch, as in the Wasserstein loss
    return "layer" if settings.r1 > 0 else "batch"


REGULARIZER = Regularizer(
    penalty=gradient_at_real,
    penalty_weight=_weight,
    details={"r1_every": "r1"},
    critic_norm=_critic_norm,
)
