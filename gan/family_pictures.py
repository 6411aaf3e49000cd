"""Pictures that only some families can draw: truncated ones, mixed styles, all scales of a pyramid."""

import numpy as np
import torch
from torch import Tensor, nn

from common.device import exact_float32
from common.errors import require
from gan import generation, image_grid
from gan.config import GanConfig
from gan.networks.families import FAMILIES
from gan.training.seeding import to_pixels


def check_asked(config: GanConfig, *, truncation: float, mix: int, pyramid: bool) -> None:
    """Raise `ConfigError` when the family of a generator cannot draw what is asked for."""
    name, asked = config.network.family, {"truncation": truncation != 1, "mix": mix > 0, "pyramid": pyramid}
    can = {family: _abilities(family) for family in FAMILIES}
    for flag, is_asked in asked.items():
        able = ", ".join(family for family, flags in can.items() if flag in flags)
        require(
            not is_asked or flag in can[name],
            f"--{flag} needs a generator of the family {able}, this one is a {name}; leave --{flag} out",
        )


def _abilities(name: str) -> set[str]:
    family = FAMILIES[name]
    found = {"truncation": family.truncate, "mix": family.mix, "pyramid": family.draw_scales}
    return {flag for flag, function in found.items() if function is not None}


def truncate(generator: nn.Module, config: GanConfig, share: float) -> None:
    """Let the generator draw images that are likelier and less varied; 1: as it was trained."""
    function = FAMILIES[config.network.family].truncate
    if share != 1:
        assert function is not None, "check_asked has refused it"
        function(generator, share)


@torch.no_grad()
@exact_float32()
def mixing_grid(generator: nn.Module, config: GanConfig, count: int, seed: int) -> generation.Pixels:
    """Rows of equal coarse features, columns of equal fine ones, uint8 (H, W, C).

    The first column and the first row, apart from the empty corner, are the images that they come from.
    """
    mix = FAMILIES[config.network.family].mix
    assert mix is not None, "check_asked has refused it"
    latents = generation.random_latents(config, 2 * count, seed)
    coarse, fine = latents[:count], latents[count:]
    own = _pixels(mix(generator, latents, latents))
    rows = [np.concatenate([np.full_like(own[:1], 255), own[count:]])]
    for row in range(count):
        mixed = _pixels(mix(generator, coarse[row : row + 1].expand_as(fine), fine))
        rows.append(np.concatenate([own[row : row + 1], mixed]))
    return image_grid.grid(np.concatenate(rows), columns=count + 1)


@torch.no_grad()
@exact_float32()
def pyramid_picture(generator: nn.Module, config: GanConfig, count: int, seed: int) -> generation.Pixels:
    """A column for each image: all scales that it is drawn at, the smallest at the top, uint8 (H, W, C)."""
    draw_scales = FAMILIES[config.network.family].draw_scales
    assert draw_scales is not None, "check_asked has refused it"
    scales = draw_scales(generator, generation.random_latents(config, count, seed))
    enlarged = [_enlarged(_pixels(scale), scales[0].shape[-1]) for scale in scales[::-1]]
    return image_grid.grid(np.concatenate(enlarged), columns=count)


def _pixels(images: Tensor) -> generation.Pixels:
    return to_pixels(images).numpy()


def _enlarged(images: generation.Pixels, side: int) -> generation.Pixels:
    factor = side // images.shape[1]
    return images.repeat(factor, axis=1).repeat(factor, axis=2)
