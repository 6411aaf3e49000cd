"""One training step of the two players.

Ranks share large gradients while the backward pass is running; small gradients and the step's statistics are
reduced together as one tensor. Nothing here waits for a GPU.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from common.device import autocast_dtype
from gan.config import GanConfig
from gan.distributed import Reduction, sum_over_ranks
from gan.networks.twice_differentiable import TwiceDifferentiable
from gan.training.balance import Turn
from gan.training.losses import LOSSES, Loss
from gan.training.parts import Part, cut_into_parts, graphs_kept, joined, mean_of
from gan.training.passes import Passes, autocast
from gan.training.players import Players
from gan.training.view import GENERATED, PLAIN, REAL, StepRegularization


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepSettings:
    """What stays the same from step to step of a run."""

    loss: Loss
    label_smoothing: Tensor
    """Scalar on the device: a tensor's value is not part of compiled code."""
    penalty_weight: float
    """Factor of the loss's penalty, 0 for none."""
    ema_half_life: int
    """Images after which half of the averaged generator is new, 0: no averaging."""
    autocast_dtype: torch.dtype | None
    """Type that convolutions compute in; None for fp32."""
    world_size: int
    accumulate: int
    """Parts that a rank's share is cut into."""

    def ema_decay(self, share: int) -> float:
        """Part of the averaged generator that a step keeps, 0 to 1; share: images of this rank."""
        if self.ema_half_life == 0:
            return 0.0
        return math.pow(0.5, share * self.world_size / self.ema_half_life)


def step_settings(config: GanConfig, *, device: torch.device, world_size: int) -> StepSettings:
    """The step settings that a configuration asks for."""
    loss = LOSSES[config.loss.name]
    return StepSettings(
        loss=loss,
        label_smoothing=torch.tensor(config.loss.label_smoothing, device=device),
        penalty_weight=loss.penalty_weight(config.loss),
        ema_half_life=config.ema_half_life,
        autocast_dtype=autocast_dtype(config.precision, device),
        world_size=world_size,
        accumulate=config.accumulate,
    )


def train_step(
    players: Players,
    real: Tensor,
    latents: Tensor,
    penalty_shares: Tensor | None,
    settings: StepSettings,
    passes: Passes,
    *,
    who_trains: Turn | Callable[[], Turn],
    regularization: StepRegularization = PLAIN,
) -> tuple[Tensor, Turn]:
    """Update the players once, alternating: the discriminator, then the generator through the updated one.

    real: (N, C, H, W) in [-1, 1], this rank's share; latents: (N, latent_size); penalty_shares: (N,) in
    [0, 1), or one for each pack, needed where the loss has a penalty. `who_trains`, where it is a function,
    is called only after the generator's pass was started: it may need the statistics of the step before,
    which a GPU has finished by then. With `settings.accumulate` the share is cut into parts of which only one
    takes memory at a time.

    Returns: (4,) on the device, means over the global batch: discriminator loss (without penalty), accuracy
    on real, accuracy on fakes, generator loss (0 when the generator rests); and who trained.
    """
    parts = cut_into_parts(real, latents, penalty_shares, regularization, settings.accumulate)
    # Fakes: generated once, for both players; with gradients also where it is not yet known who trains.
    generator_may_train = callable(who_trains) or who_trains.generator
    with graphs_kept(players.generator, generator_may_train, parts):
        fakes = [_shown_fakes(players.generator, part, settings, passes) for part in parts]
    reals = [_shown(part.real, part.regularization, REAL, passes) for part in parts]
    if regularization.watch is not None:
        regularization.watch(players.discriminator, joined(reals), joined(fakes))

    # Discriminator: trained, or only measured, so that the policy can see when it should train again.
    turn = who_trains() if callable(who_trains) else who_trains
    step = _Step(players, parts, settings, passes)
    stats = _turn_of_discriminator(step, reals, fakes, trains=turn.discriminator)

    # Generator: through the updated discriminator, which is frozen: its own gradients are not needed.
    players.discriminator.requires_grad_(False)
    stats = _turn_of_generator(step, fakes, stats) if turn.generator else nn.functional.pad(stats, (0, 1))
    # in every step, so that the half-life counts the images shown whatever the balance, as in StyleGAN
    average_weights(players.ema, players.generator, settings.ema_decay(len(real)))
    return stats, turn


class _Step(NamedTuple):
    """What both turns of a step need."""

    players: Players
    parts: list[Part]
    settings: StepSettings
    passes: Passes


def _turn_of_discriminator(step: _Step, reals: list[Tensor], fakes: list[Tensor], *, trains: bool) -> Tensor:
    """Update the discriminator, or leave it as it is; returns (3,), what `judge_both` says, over all ranks
    where it trains."""
    players, parts, settings, passes = step
    players.discriminator.requires_grad_(trains)
    reduction = Reduction(players.discriminator, settings.world_size) if trains else None
    said: list[Tensor] = []
    for part, real, made in zip(parts, reals, fakes, strict=True):
        with torch.set_grad_enabled(trains):
            loss, numbers = passes.judge_both(
                players.discriminator,
                real,
                made.detach(),
                settings.loss,
                settings.label_smoothing,
                settings.autocast_dtype,
            )
        said.append(numbers)
        if reduction is not None:
            loss = loss + _penalties(players.discriminator, real, made, part, settings)
            reduction.is_last = part is parts[-1]
            _backward(loss, players.discriminator_scaler, settings)
    stats = mean_of(said)
    if reduction is not None:
        stats = reduction.finish(stats)
        _update(players.discriminator_optimizer, players.discriminator_scaler)
    return stats


def _turn_of_generator(step: _Step, fakes: list[Tensor], stats: Tensor) -> Tensor:
    """Update the generator; stats: (3,), the discriminator's; returns (4,), with the generator's loss."""
    players, parts, settings, passes = step
    reduction = Reduction(players.generator, settings.world_size)
    losses: list[Tensor] = []
    for part, made in zip(parts, fakes, strict=True):
        if len(parts) > 1:  # graphs of parts are not kept
            made = _shown_fakes(players.generator, part, settings, passes)
        loss = passes.judge_fakes(players.discriminator, made, settings.loss, settings.autocast_dtype)
        losses.append(loss.detach())
        term = part.regularization.generator_term
        if term is not None:
            with TwiceDifferentiable():
                penalty = term.function(players.generator, part.latents, term.noise, term.share)
            loss = loss + term.weight * penalty
        reduction.is_last = part is parts[-1]
        _backward(loss, players.generator_scaler, settings)
    stats = reduction.finish(torch.cat([stats, mean_of(losses)[None]]))
    _update(players.generator_optimizer, players.generator_scaler)
    return stats


def _shown_fakes(generator: nn.Module, part: Part, settings: StepSettings, passes: Passes) -> Tensor:
    """Generated images, as the discriminator sees them."""
    images = passes.generate(generator, part.latents, settings.autocast_dtype)
    return _shown(images, part.regularization, GENERATED, passes)


def _shown(images: Tensor, regularization: StepRegularization, which: int, passes: Passes) -> Tensor:
    """What the discriminator sees, the same for both players: by default the images as they are."""
    return passes.see(images, *regularization.view(which)) if regularization.changes_images else images


def _penalties(
    discriminator: nn.Module, real: Tensor, fakes: Tensor, part: Part, settings: StepSettings
) -> Tensor:
    """The weighted penalties of the loss and of the regularizers, a scalar."""
    total = real.new_zeros((), dtype=torch.float32)
    # fp16 has too few digits for small gradients of gradients, and they are not scaled
    dtype = None if settings.autocast_dtype == torch.float16 else settings.autocast_dtype
    with autocast(real, dtype), TwiceDifferentiable():
        if settings.loss.penalty is not None and settings.penalty_weight > 0 and part.shares is not None:
            total = settings.penalty_weight * settings.loss.penalty(discriminator, real, fakes, part.shares)
        for penalize, weight in part.regularization.penalties:
            total = total + weight * penalize(discriminator, real)
    return total


def _backward(loss: Tensor, scaler: torch.amp.GradScaler, settings: StepSettings) -> None:
    """Add the gradients of a part; the sum over parts and ranks is then their mean."""
    scaled: Tensor = scaler.scale(loss / (settings.world_size * settings.accumulate))
    scaled.backward()


def _update(optimizer: torch.optim.Adam, scaler: torch.amp.GradScaler) -> None:
    """Step, unless scaled gradients have exceeded fp16: then they are scaled less from then on."""
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()


@torch.no_grad()
def average_weights(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * network, BatchNorm's statistics included."""
    torch._foreach_lerp_(float_tensors(average), float_tensors(network), 1 - decay)


@torch.no_grad()
def sync_and_check(players: Players, world_size: int) -> str:
    """Make BatchNorm's statistics the same on every rank, the mean over ranks, and check all weights.

    Returns: the network that has a value that is not finite, the same on every rank; empty when none has.
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
        if buffers:  # only normalization has some
            torch._foreach_div_(buffers, world_size)
        shares = sum_over_ranks(buffers, shares) / world_size
    return next((name for name, share in zip(networks, shares.tolist(), strict=True) if share < 1), "")


def float_tensors(network: nn.Module) -> list[Tensor]:
    """Parameters and floating-point buffers, in a fixed order."""
    return [*network.parameters(), *(buffer for buffer in network.buffers() if buffer.is_floating_point())]
