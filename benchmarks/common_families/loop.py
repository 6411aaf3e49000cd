"""The training step of commonly written GANs: two passes of the generator, a number printed for each loss."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common_families import Form
from gan.config import GanConfig

EMA_DECAY = 0.999
Images = Any
"""A tensor (N, C, H, W), or a list of them, one for each scale."""


class Trainer:
    """Both networks, the generator's average and the optimizers, in PyTorch's default memory format."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, config: GanConfig, device: torch.device
    ) -> None:
        self.generator, self.discriminator = generator.to(device), discriminator.to(device)
        self.average = copy.deepcopy(self.generator).eval()
        self.generator_optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.generator, self.discriminator)
        )
        self.config, self.device = config, device
        self.is_hinge = config.loss.name == "hinge"

    def latents(self) -> Tensor:
        """Fresh latents of a batch."""
        return torch.randn(self.config.batch, self.config.network.latent_size, device=self.device)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Of logits: hinge, or cross-entropy."""
        if self.is_hinge:
            return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Of logits."""
        return -fake.mean() if self.is_hinge else F.softplus(-fake).mean()

    def train_discriminator(self, real: Images, fakes: Images) -> float:
        """One update on real and generated images; returns the loss."""
        self.discriminator_optimizer.zero_grad()
        loss = self.discriminator_loss(self.discriminator(real), self.discriminator(fakes))
        loss.backward()
        self.discriminator_optimizer.step()
        return loss.item()

    def train_generator(self, fakes: Images) -> float:
        """One update through the discriminator; returns the loss."""
        self.generator_optimizer.zero_grad()
        loss = self.generator_loss(self.discriminator(fakes))
        loss.backward()
        self.generator_optimizer.step()
        return loss.item()

    def update_average(self) -> None:
        """Move the averaged generator a little."""
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.generator.parameters(), strict=True)
            for average, parameter in pairs:
                average.mul_(EMA_DECAY).add_(parameter, alpha=1 - EMA_DECAY)


def plain_form(
    trainer: Trainer, channels: int, *, see: Callable[[Tensor], Images] = lambda images: images
) -> Form:
    """The step of networks that need nothing else; see: images as the discriminator takes them."""
    side = trainer.config.data.resolution
    real = torch.rand(trainer.config.batch, channels, side, side, device=trainer.device) * 2 - 1

    def step() -> None:
        with torch.no_grad():
            fakes = trainer.generator(trainer.latents())
        trainer.train_discriminator(see(real), fakes)
        trainer.train_generator(trainer.generator(trainer.latents()))
        trainer.update_average()

    return Form(step, (trainer.generator, trainer.discriminator))
