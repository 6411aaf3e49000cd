"""One training step of the two players.

Ranks share large gradients while the backward pass is running; small gradients and the step's statistics are
reduced together as one tensor. Nothing here waits for a GPU.
"""

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.device import autocast_dtype
from gan.config import GanConfig
from gan.distributed import Reduction, sum_over_ranks
from gan.training.balance import Turn
from gan.training.losses import LOSSES, Loss
from gan.training.parts import Part, cut_into_parts, graphs_kept, joined, mean_of
from gan.training.players import Players
from gan.training.view import GENERATED, PLAIN, REAL, StepRegularization, see


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


@dataclasses.dataclass(frozen=True)
class Passes:
    """The heavy passes, compiled or not."""

    generate: Callable[..., Tensor]
    see: Callable[..., Tensor]
    """Only where a regularizer changes what the discriminator sees."""
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
    loss: Loss,
    label_smoothing: Tensor,
    autocast_dtype: torch.dtype | None,
) -> tuple[Tensor, Tensor]:
    """The discriminator's loss, and (3,) of that loss and its accuracies on real and on fakes, detached.

    Real and fakes go through in separate passes, so that BatchNorm's statistics stay apart: common practice
    since Radford et al. 2015.
    """
    with _autocast(real, autocast_dtype):
        real_logits = discriminator(real)
        fake_logits = discriminator(fakes)
    value = loss.discriminator(real_logits, fake_logits, label_smoothing)
    accuracies = (real_logits > loss.boundary, fake_logits <= loss.boundary)
    return value, torch.stack([value.detach(), *(hits.float().mean() for hits in accuracies)])


def judge_fakes(
    discriminator: nn.Module, fakes: Tensor, loss: Loss, autocast_dtype: torch.dtype | None
) -> Tensor:
    """The generator's loss on its images."""
    with _autocast(fakes, autocast_dtype):
        logits = discriminator(fakes)
    return loss.generator(logits)


UNCOMPILED = Passes(generate, see, judge_both, judge_fakes)


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
    players.discriminator.requires_grad_(turn.discriminator)
    of_parts: list[Tensor] = []
    reduction = Reduction(players.discriminator, settings.world_size) if turn.discriminator else None
    for part, shown, made in zip(parts, reals, fakes, strict=True):
        with torch.set_grad_enabled(turn.discriminator):
            loss, numbers = passes.judge_both(
                players.discriminator,
                shown,
                made.detach(),
                settings.loss,
                settings.label_smoothing,
                settings.autocast_dtype,
            )
        of_parts.append(numbers)
        if reduction is not None:
            loss = loss + _penalties(players.discriminator, shown, made, part, settings)
            reduction.is_last = part is parts[-1]
            _backward(loss, players.discriminator_scaler, settings)
    stats = mean_of(of_parts)
    if reduction is not None:
        stats = reduction.finish(stats)
        _update(players.discriminator_optimizer, players.discriminator_scaler)

    # Generator: through the updated discriminator, which is frozen: its own gradients are not needed.
    generator_loss = stats.new_zeros(())
    if turn.generator:
        players.discriminator.requires_grad_(False)
        of_parts = []
        reduction = Reduction(players.generator, settings.world_size)
        for part, made in zip(parts, fakes, strict=True):
            if len(parts) > 1:  # without the graph, which was not kept
                made = _shown_fakes(players.generator, part, settings, passes)
            loss = passes.judge_fakes(players.discriminator, made, settings.loss, settings.autocast_dtype)
            of_parts.append(loss.detach())
            if part.regularization.generator_term is not None:
                penalize, noise, weight = part.regularization.generator_term
                loss = loss + weight * penalize(players.generator, part.latents, noise)
            reduction.is_last = part is parts[-1]
            _backward(loss, players.generator_scaler, settings)
        generator_loss = mean_of(of_parts)
        stats = reduction.finish(torch.cat([stats, generator_loss[None]]))
        _update(players.generator_optimizer, players.generator_scaler)
    else:
        stats = torch.cat([stats, generator_loss[None]])
    # in every step, so that the half-life counts the images shown whatever the balance, as in StyleGAN
    average_weights(players.ema, players.generator, settings.ema_decay(len(real)))
    return stats, turn


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
    with _autocast(real, dtype):
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


def _autocast(like: Tensor, dtype: torch.dtype | None) -> torch.autocast:
    return torch.autocast(like.device.type, dtype=dtype, enabled=dtype is not None)
