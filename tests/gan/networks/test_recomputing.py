"""Gradient checkpointing: the numbers of a run without it, in less memory."""

from typing import Any

import pytest
import torch

from common.errors import ConfigError
from gan.config import GanConfig, NetworkConfig
from gan.costs.memory import estimate_memory
from gan.networks import build_discriminator, build_generator, family_of
from gan.networks.families import FAMILIES
from gan.networks.recomputing import Block
from gan.training.run import GanRun
from tests.gan.training.runs import assert_same_state, config_of, few_images, timeless

RECOMPUTING = [name for name in FAMILIES if FAMILIES[name].recomputes]
ON = {"network.gradient_checkpointing": True}
# what needs gradients of gradients, and in the middle of a fade
TERMS: dict[str, dict[str, Any]] = {
    "progressive": {"network.stable_images": 20, "network.fade_images": 60, "regularization.r1": 1.0},
    "msg": {"loss.name": "wasserstein", "network.minibatch_std": 2},
    "style": {"network.path_length": 2.0, "network.path_length_every": 1, "regularization.r1": 1.0},
}


@pytest.mark.parametrize("family", RECOMPUTING)
def test_a_run_has_the_numbers_of_one_without_it(family: str) -> None:
    torch.set_num_threads(1)
    values = {"network.family": family, **TERMS[family]}
    kept, computed_twice = (GanRun(config_of(values | more), few_images()) for more in ({}, ON))
    assert timeless(kept.tick()) == timeless(computed_twice.tick())
    assert_same_state(kept, computed_twice)


@pytest.mark.parametrize("family", RECOMPUTING)
def test_it_takes_a_fraction_of_the_memory(family: str) -> None:
    config = GanConfig.from_dict(
        {
            "data": {"resolution": 64},
            "network": {"family": family, "width": 8},
            "evaluation": {"metric_images": 16},
        }
    )
    plain, less = (estimate_memory(config.with_values(values), channels=3) for values in ({}, ON))
    assert less.activations < 0.65 * plain.activations
    assert less.total - less.activations == plain.total - plain.activations


@pytest.mark.parametrize("family", RECOMPUTING)
def test_both_networks_have_blocks_and_compute_them_once_by_default(family: str) -> None:
    for gradient_checkpointing in (False, True):
        config = NetworkConfig(family=family, width=4, gradient_checkpointing=gradient_checkpointing)
        for build in (build_generator, build_discriminator):
            network = build(config, resolution=32, channels=3)
            found = [module.recomputes for module in network.modules() if isinstance(module, Block)]
            assert len(found) >= 3 and set(found) == {gradient_checkpointing}


def test_where_it_would_change_numbers_it_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"has no effect with --family dcgan; .* progressive or style$"):
        family_of(NetworkConfig(gradient_checkpointing=True), 32)
    with pytest.raises(ConfigError, match="gives other numbers with --spectral-norm"):
        NetworkConfig(family="msg", gradient_checkpointing=True, spectral_norm=True)
