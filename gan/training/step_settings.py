"""What stays the same from step to step of a run, in the form that a step needs; not the step."""

import dataclasses
import math

import torch
from torch import Tensor

from common.device import autocast_dtype
from gan.config import GanConfig, LossName


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What stays the same from step to step."""

    loss: LossName
    label_smoothing: Tensor
    """Scalar on the device: as a tensor its value is no part of compiled code."""
    gradient_penalty: float
    """Weight of the penalty, 0 for none."""
    ema_decay: float
    """Share of the averaged generator that a step keeps, 0 to 1."""
    autocast_dtype: torch.dtype | None
    """Type that convolutions compute in; None for fp32."""
    world_size: int


def recipe_for(config: GanConfig, *, device: torch.device, world_size: int) -> Recipe:
    """The recipe that a configuration asks for."""
    half_lives_a_step = config.batch / config.ema_half_life if config.ema_half_life else math.inf
    return Recipe(
        loss=config.loss.name,
        label_smoothing=torch.tensor(config.loss.label_smoothing, device=device),
        gradient_penalty=config.loss.gradient_penalty if config.loss.name == "wasserstein" else 0.0,
        ema_decay=0.5**half_lives_a_step,
        autocast_dtype=autocast_dtype(config.precision, device),
        world_size=world_size,
    )
