"""The step of StyleGAN2 as it is commonly written: R1 and path lengths in updates of their own."""

import itertools
import math
import random

import torch
from torch import Tensor, nn

from common_families import Form
from common_families.layers import widths_of
from common_families.loop import Trainer
from common_families.style_networks import Discriminator, Generator
from gan.config import GanConfig

PATH_DECAY = 0.01


class StyleTrainer(Trainer):
    """Adds mixed latents and the two lazy regularizers."""

    mean_path = 0.0

    def mixed_latents(self, count: int) -> list[Tensor]:
        """Two latents for each image, or one where the batch is not mixed."""
        size, sets = self.config.network.latent_size, 1 + (random.random() < self.config.network.style_mixing)
        return [torch.randn(count, size, device=self.device) for _ in range(sets)]

    def penalize_gradient(self, real: Tensor) -> float:
        """An update by R1 alone."""
        settings = self.config.regularization
        real = real.detach().requires_grad_(True)
        logits = self.discriminator(real)
        (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        penalty = gradient.pow(2).flatten(1).sum(dim=1).mean()
        self.discriminator_optimizer.zero_grad()
        (settings.r1 / 2 * penalty * settings.r1_every).backward()
        self.discriminator_optimizer.step()
        return penalty.item()

    def penalize_path_lengths(self) -> float:
        """An update by path lengths alone, on half a batch."""
        network = self.config.network
        images, styles = self.generator(self.mixed_latents(self.config.batch // 2))
        noise = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
        (gradient,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
        lengths = torch.sqrt(gradient.pow(2).sum(dim=2).mean(dim=1))
        self.mean_path += PATH_DECAY * (lengths.mean().item() - self.mean_path)
        penalty = (lengths - self.mean_path).pow(2).mean()
        self.generator_optimizer.zero_grad()
        (network.path_length * network.path_length_every * penalty).backward()
        self.generator_optimizer.step()
        return penalty.item()


def build(config: GanConfig, channels: int, device: torch.device) -> Form:
    """Its step."""
    network, side = config.network, config.data.resolution
    widths = widths_of(network.width, side)
    trainer = StyleTrainer(
        Generator(network.latent_size, widths, channels, network.mapping_layers),
        Discriminator(widths, channels, network.minibatch_std),
        config,
        device,
    )
    generator, discriminator = trainer.generator, trainer.discriminator
    real = torch.rand(config.batch, channels, side, side, device=device) * 2 - 1
    numbers = itertools.count()

    def step() -> None:
        number = next(numbers)
        _train_only(discriminator, generator)
        fakes, _ = generator(trainer.mixed_latents(config.batch))
        trainer.train_discriminator(real, fakes)
        if config.regularization.r1 > 0 and number % config.regularization.r1_every == 0:
            trainer.penalize_gradient(real)
        _train_only(generator, discriminator)
        fakes, _ = generator(trainer.mixed_latents(config.batch))
        trainer.train_generator(fakes)
        if network.path_length > 0 and number % network.path_length_every == 0:
            trainer.penalize_path_lengths()
        trainer.update_average()

    return Form(step, (generator, discriminator))


def _train_only(network: nn.Module, other: nn.Module) -> None:
    network.requires_grad_(True)
    other.requires_grad_(False)
