"""Every family of networks on a GPU: 20 steps beside those of the CPU, and speed beside the common form."""

import functools
from typing import Any

from family_steps import compared, config_of
from gpu_setting import CPU, Figures, Setting
from gpu_training import BATCH, Trained, compare, trained
from gpu_training import config_of as tiny

from gan.config import GanConfig
from gan.networks.families import FAMILIES

RECOMPUTING = tuple(name for name in FAMILIES if FAMILIES[name].recomputes)
"""The families that have gradient checkpointing."""
SETTINGS: dict[str, dict[str, Any]] = {
    "resnet": {"network.attention": 8, "network.spectral_norm": True},
    # fades in its larger side from the 6th to the 11th of 20 steps
    "progressive": {"network.stable_images": 5 * BATCH, "network.fade_images": 5 * BATCH},
    "style": {"network.mapping_layers": 2, "regularization.r1": 0.1},
}
# With rates of 1e-3, which suit `dcgan`, deeper networks make 1e-2 of the rounding of other kernels within 20
# steps. Measured on a CPU with 1e-5: 2e-4 to 9e-4 of the way in fp32, 0.03 to 0.06 in bf16.
RATES = {"optimizer.generator_lr": 1e-5, "optimizer.discriminator_lr": 1e-5}
WITHOUT_BATCH_NORM = ("progressive", "msg", "style")
"""Those that train on parts of a batch as on the whole."""
HOW: dict[str, dict[str, Any]] = {
    "plain": {},
    "checkpointing": {"network.gradient_checkpointing": True},
    "parts": {"accumulate": 2},
}
SIDES = (64, 128, 256)


def family_config(family: str, **values: Any) -> GanConfig:
    """A tiny run of 20 steps of the family."""
    return tiny(**{"network.family": family} | RATES | SETTINGS.get(family, {}) | values)


@functools.cache
def family_on_cpu(family: str) -> Trained:
    """The run that others are compared with: on the CPU, in float32, with all activations kept."""
    return trained(family_config(family), CPU)


def family_training(setting: Setting, family: str, precision: str, how: str, figures: Figures) -> None:
    """20 steps are those of the CPU; how: a key of `HOW`."""
    compare(setting, family_config(family, **HOW[how]), family_on_cpu(family), precision, False, figures)


def family_speed(setting: Setting, family: str, side: int, figures: Figures) -> None:
    """Images/s and peak memory of our step and of the commonly written one; width and batch are 32.

    At 256 pixels the batch is 16.
    """
    if setting.device.type == "cuda":
        config = config_of(family, side, width=32, batch=min(32, 4096 // side))
        figures |= compared(config, setting.device, rounds=3, steps=8)
    else:
        config = config_of(family, side=16, width=2, batch=8)
        figures |= compared(config, setting.device, rounds=1, steps=1)
