"""The families of networks, and a training step of each, as PyTorch code for them is commonly written.

Baselines of `family_steps.py`: the same layers and as many parameters as ours, in the order and with the
modules that one finds in most public re-implementations. Nothing here is meant to be slow, and nothing is
arranged to be fast. `dcgan` is in `train_step.py`.
"""

import importlib
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from train_step import common_step, example_networks

from gan.config import GanConfig


class Form(NamedTuple):
    """A family's networks, and a training step of them."""

    step: Callable[[], None]
    networks: tuple[nn.Module, nn.Module]


def common_form(config: GanConfig, channels: int, device: torch.device) -> Form:
    """The step of the configuration's family on random images, which are on the device already."""
    if config.network.family == "dcgan":
        # that step builds its own networks; these have as many parameters
        return Form(common_step(config, device), example_networks(config))
    module = importlib.import_module(f"common_families.{config.network.family}")
    form: Form = module.build(config, channels, device)
    return form
