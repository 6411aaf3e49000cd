"""The heavy passes of a step, which may be compiled: generating images and judging them."""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan.training.losses import Loss
from gan.training.view import see


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
    with autocast(latents, autocast_dtype):
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
    with autocast(real, autocast_dtype):
        real_logits = discriminator(real)
        fake_logits = discriminator(fakes)
    value = loss.discriminator(real_logits, fake_logits, label_smoothing)
    accuracies = (real_logits > loss.boundary, fake_logits <= loss.boundary)
    return value, torch.stack([value.detach(), *(hits.float().mean() for hits in accuracies)])


def judge_fakes(
    discriminator: nn.Module, fakes: Tensor, loss: Loss, autocast_dtype: torch.dtype | None
) -> Tensor:
    """The generator's loss on its images."""
    with autocast(fakes, autocast_dtype):
        logits = discriminator(fakes)
    return loss.generator(logits)


UNCOMPILED = Passes(generate, see, judge_both, judge_fakes)


def autocast(like: Tensor, dtype: torch.dtype | None) -> torch.autocast:
    """Within the block convolutions compute in this type on the tensor's device; None: in fp32."""
    return torch.autocast(like.device.type, dtype=dtype, enabled=dtype is not None)
