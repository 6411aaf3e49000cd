"""One training step of the two players.

Ranks share large gradients while the backward pass goes on, small ones and the step's numbers as one tensor.
Nothing here waits for a GPU.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan.config import LossName
from gan.distributed import Reduction, sum_over_ranks
from gan.training.losses import LOSSES, gradient_penalty
from gan.training.players import Players
from gan.training.step_settings import Recipe


@dataclasses.dataclass(frozen=True)
class Passes:
    """The three heavy passes, compiled or not."""

    generate: Callable[..., Tensor]
    judge_both: Callable[..., tuple[Tensor, Tensor]]
    judge_fakes: Callable[..., Tensor]


def generate(generator: nn.Module, latents: Tensor, autocast_dtype: torch.dtype | None) -> Tensor:
    """latents (N, latent_size) -> images (N, C, H, W) in [-1, 1]."""
    with _autocast(latents, autocast_dtype):
        images: Tensor = generator(latents)
    return images


def judge_both(
    discriminator: nn.Module,
    real: Tensor,
    fakes: Tensor,
    loss: LossName,
    label_smoothing: Tensor,
    autocast_dtype: torch.dtype | None,
) -> tuple[Tensor, Tensor]:
    """The discriminator's loss, and (3,) of that loss and its accuracies on real and on fakes, detached.

    Real and fakes go through in separate passes, so that BatchNorm's statistics stay apart: common practice
    since Radford et al. 2015.
    """
    pair = LOSSES[loss]
    with _autocast(real, autocast_dtype):
        real_logits = discriminator(real)
        fake_logits = discriminator(fakes)
    value = pair.discriminator(real_logits, fake_logits, label_smoothing)
    accuracies = (real_logits > pair.boundary, fake_logits <= pair.boundary)
    return value, torch.stack([value.detach(), *(hits.float().mean() for hits in accuracies)])


def judge_fakes(
    discriminator: nn.Module, fakes: Tensor, loss: LossName, autocast_dtype: torch.dtype | None
) -> Tensor:
    """The generator's loss on its images."""
    with _autocast(fakes, autocast_dtype):
        logits = discriminator(fakes)
    return LOSSES[loss].generator(logits)


UNCOMPILED = Passes(generate, judge_both, judge_fakes)


def train_step(
    players: Players,
    real: Tensor,
    latents: Tensor,
    penalty_shares: Tensor | None,
    recipe: Recipe,
    passes: Passes,
    *,
    generator_trains: bool,
    discriminator_trains: Callable[[], bool],
) -> tuple[Tensor, bool]:
    """Update the players once, alternating: the discriminator, then the generator through the updated one.

    real: (N, C, H, W) in [-1, 1], this rank's share; latents: (N, latent_size); penalty_shares: (N,) in
    [0, 1), needed where the recipe has a gradient penalty. `discriminator_trains` is asked only after the
    generator's pass is under way: its answer may rest on the step before, which a GPU has finished by then.

    Returns: (4,) on the device, means over the global batch: discriminator loss (without penalty), accuracy
    on real, accuracy on fakes, generator loss (0 when the generator rests); and whether the discriminator
    trained.
    """
    # Fakes: drawn once, for both players.
    with torch.set_grad_enabled(generator_trains):
        fakes = passes.generate(players.generator, latents, recipe.autocast_dtype)

    # Discriminator: trained, or only measured, so that it can come back.
    trains = discriminator_trains()
    players.discriminator.requires_grad_(trains)
    with torch.set_grad_enabled(trains):
        loss, numbers = passes.judge_both(
            players.discriminator,
            real,
            fakes.detach(),
            recipe.loss,
            recipe.label_smoothing,
            recipe.autocast_dtype,
        )
    if trains:
        if recipe.gradient_penalty > 0 and penalty_shares is not None:
            with _autocast(real, recipe.autocast_dtype):
                penalty = gradient_penalty(players.discriminator, real, fakes, penalty_shares)
            loss = loss + recipe.gradient_penalty * penalty
        reduction = Reduction(players.discriminator, recipe.world_size)
        (loss / recipe.world_size).backward()  # the sum over ranks is then their mean
        numbers = reduction.finish(numbers)
        players.discriminator_optimizer.step()
        players.discriminator_optimizer.zero_grad()

    # Generator: through the updated discriminator, which is frozen: its own gradients would be thrown away.
    generator_loss = numbers.new_zeros(())
    if generator_trains:
        players.discriminator.requires_grad_(False)
        loss = passes.judge_fakes(players.discriminator, fakes, recipe.loss, recipe.autocast_dtype)
        reduction = Reduction(players.generator, recipe.world_size)
        (loss / recipe.world_size).backward()
        generator_loss = loss.detach()
        numbers = reduction.finish(torch.cat([numbers, generator_loss[None]]))
        players.generator_optimizer.step()
        players.generator_optimizer.zero_grad()
        average_weights(players.ema, players.generator, recipe.ema_decay)
    else:
        numbers = torch.cat([numbers, generator_loss[None]])
    return numbers, trains


@torch.no_grad()
def average_weights(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * network, BatchNorm's statistics included."""
    torch._foreach_lerp_(float_tensors(average), float_tensors(network), 1 - decay)


@torch.no_grad()
def settle(players: Players, world_size: int) -> str:
    """Make BatchNorm's statistics the same on every rank: the mean of all ranks' own.

    Returns: which network holds a number that is not finite, the same on every rank; empty when none does.
    """
    networks = {"generator": players.generator, "discriminator": players.discriminator, "ema": players.ema}
    buffers = [
        buffer for network in networks.values() for buffer in network.buffers() if buffer.is_floating_point()
    ]
    finite = torch.stack(
        [
            torch.stack([tensor.isfinite().all() for tensor in float_tensors(net)]).all()
            for net in networks.values()
        ]
    )
    shares = finite.float()
    if world_size > 1:
        torch._foreach_div_(buffers, world_size)
        shares = sum_over_ranks(buffers, shares) / world_size
    return next((name for name, share in zip(networks, shares.tolist(), strict=True) if share < 1), "")


def float_tensors(network: nn.Module) -> list[Tensor]:
    """Parameters and floating-point buffers, in a fixed order."""
    return [*network.parameters(), *(buffer for buffer in network.buffers() if buffer.is_floating_point())]


def _autocast(like: Tensor, dtype: torch.dtype | None) -> torch.autocast:
    return torch.autocast(like.device.type, dtype=dtype, enabled=dtype is not None)
