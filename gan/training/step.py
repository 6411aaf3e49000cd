"""One training step of the two players.

Ranks share large gradients while the backward pass goes on, small ones and the step's numbers as one tensor.
Nothing here waits for a GPU.
"""

import dataclasses
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gan.config import LossName
from gan.training.losses import LOSSES, gradient_penalty
from gan.training.players import Players
from gan.training.step_settings import Recipe

LARGE = 65_536
"""Elements from which on a tensor is reduced by itself."""


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


class Reduction:
    """Sums the gradients of a network over ranks, for one backward pass.

    A large gradient is on its way as soon as it is complete, while the pass goes on; all small ones travel as
    one at the end, with the step's numbers. Every rank's pass completes them in the same order.
    """

    def __init__(self, network: nn.Module, world_size: int) -> None:
        self._parameters, self._world_size = list(network.parameters()), world_size
        self._works: list[dist.Work] = []
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(self._send)
            for parameter in self._parameters
            if world_size > 1 and parameter.numel() >= LARGE
        ]

    @torch.no_grad()
    def _send(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self._works.append(dist.all_reduce(as_stored(parameter.grad), async_op=True))

    def finish(self, numbers: Tensor) -> Tensor:
        """Wait for the sums; returns the mean of `numbers` over ranks."""
        if self._world_size == 1:
            return numbers
        for hook in self._hooks:
            hook.remove()
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        small = [gradient for gradient in gradients if gradient.numel() < LARGE]
        numbers = sum_over_ranks(small, numbers) / self._world_size
        for work in self._works:
            work.wait()
        return numbers


def as_stored(tensor: Tensor) -> Tensor:
    """A dense tensor of any memory format in one dimension, without a copy."""
    return tensor.as_strided((tensor.numel(),), (1,))


@torch.no_grad()
def sum_over_ranks(tensors: list[Tensor], numbers: Tensor) -> Tensor:
    """Replace tensors by their sum over ranks in one reduction; returns the numbers' sum."""
    flat = torch.cat([tensor.reshape(-1) for tensor in (*tensors, numbers)])
    dist.all_reduce(flat)
    parts = torch.split(flat, [tensor.numel() for tensor in (*tensors, numbers)])
    if tensors:
        torch._foreach_copy_(tensors, [part.view_as(own) for part, own in zip(parts, tensors, strict=False)])
    return parts[-1].clone()


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
