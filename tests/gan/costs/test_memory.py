"""The memory of training without training, against real networks and against measured peaks."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from gan.config import GanConfig
from gan.costs.memory import estimate_memory
from gan.networks.families import FAMILIES
from gan.training.players import build_players

SMALL = GanConfig.from_dict({"data": {"resolution": 16}, "network": {"width": 8, "latent_size": 20}})


def test_what_stays_is_what_real_networks_and_adams_hold() -> None:
    players = build_players(SMALL, channels=1, device=torch.device("cpu"))
    parameters = [
        sum(4 * each.numel() for each in net.parameters())
        for net in (players.generator, players.discriminator)
    ]
    states = [net.state_dict().values() for net in (players.generator, players.discriminator, players.ema)]
    generator, discriminator, average = (sum(each.nbytes for each in tensors) for tensors in states)
    found = estimate_memory(SMALL, channels=1)
    assert found.weights == generator + discriminator
    assert found.averaged_generator == average
    assert found.gradients == max(parameters)
    counts = sum(4 for net in (players.generator, players.discriminator) for _ in net.parameters())
    assert found.optimizer == 2 * sum(parameters) + counts, "two moments, and the number of steps"
    parts = (found.weights, found.averaged_generator, found.gradients, found.optimizer, found.activations)
    assert found.total == sum(parts)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_is_estimated_fully_grown_with_all_that_a_step_takes(family: str) -> None:
    config = SMALL.with_values({"network.family": family})
    found = estimate_memory(config, channels=3)
    networks = build_players(config, channels=3, device=torch.device("cpu"))
    parameters = [
        sum(4 * each.numel() for each in net.parameters())
        for net in (networks.generator, networks.discriminator)
    ]
    # what progressive drew smaller images with is not trained any more
    assert 1.95 * sum(parameters) < found.optimizer < 2.01 * sum(parameters) + 2000
    assert found.activations > 0
    # what was made without numbers is not left behind
    assert np.isfinite(networks.ema(torch.randn(1, config.network.latent_size)).detach().numpy()).all()


def test_activations_grow_with_the_batch_and_shrink_with_bf16_and_workers() -> None:
    config = SMALL.with_values({"evaluation.metric_images": 16, "batch": 512})
    once, twice = (estimate_memory(config.with_values({"batch": batch}), channels=3) for batch in (512, 1024))
    assert twice.activations == pytest.approx(2 * once.activations, rel=0.02)
    assert twice.total - twice.activations == once.total - once.activations
    half = estimate_memory(config, channels=3, dtype=torch.bfloat16)
    assert 0.5 * once.activations < half.activations < 0.8 * once.activations
    assert estimate_memory(config.with_values({"batch": 1024}), channels=3, workers=2) == once
    with pytest.raises(ConfigError, match="--batch must be a multiple of the 3 workers"):
        estimate_memory(config, channels=3, workers=3)


def test_with_small_batches_the_samples_of_a_tick_decide() -> None:
    few, many = (
        estimate_memory(SMALL.with_values({"batch": 2, "evaluation.metric_images": count}), channels=3)
        for count in (16, 1000)
    )
    assert many.activations > 4 * few.activations


def test_penalties_and_regularizers_count_by_themselves() -> None:
    plain = estimate_memory(SMALL, channels=3).total
    for values in (
        {"loss.name": "wasserstein"},
        {"regularization.r1": 10.0},
        {"balance.policy": "adaptive", "regularization.instance_noise": 0.1},
    ):
        assert estimate_memory(SMALL.with_values({"batch": 256} | values), channels=3).total > plain


def test_networks_larger_than_any_memory_are_estimated_without_them() -> None:
    huge = GanConfig.from_dict({"data": {"resolution": 128}, "network": {"width": 1024}, "batch": 4096})
    before = resident()
    found = estimate_memory(huge, channels=3)
    assert found.weights > 10 * 2**30 and found.total > 500 * 2**30
    assert resident() - before < 2**30


def resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


@pytest.mark.parametrize(
    ("values", "precision"),
    [
        ({"batch": 128}, "fp32"),
        # narrow, since older processors take minutes for convolutions in bf16
        ({"batch": 512, "network": {"width": 16}, "loss": {"name": "wasserstein"}}, "bf16"),
    ],
    ids=str,
)
def test_the_estimate_is_near_what_steps_were_measured_to_take(
    values: dict[str, object], precision: str
) -> None:
    program = Path(__file__).with_name("measured.py")
    command = [sys.executable, str(program), json.dumps(values), precision, "returned"]
    measured = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    dtype = torch.bfloat16 if precision == "bf16" else None
    estimated = estimate_memory(GanConfig.from_dict(values), channels=3, dtype=dtype).total
    assert estimated > 80 * 2**20
    assert 0.9 < measured / estimated < 1.35
