"""A batch trained on in parts: the gradients of the whole, the statistics of its parts, less memory."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from common.errors import ConfigError
from gan.costs.memory import estimate_memory
from gan.training.balance import Turn
from gan.training.passes import UNCOMPILED
from gan.training.players import build_players
from gan.training.run import GanRun
from gan.training.step import step_settings, train_step
from tests.gan.ranks import on_two_ranks
from tests.gan.training.runs import ADAPTIVE, CONFIG, config_of, few_images, timeless

CPU = torch.device("cpu")
BOTH = Turn(discriminator=True, generator=True)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


# none of these normalizes over a batch
@pytest.mark.parametrize(
    "values",
    [
        {"network.family": "progressive", "network.packing": 2, "regularization.augment": "colour,cutout"},
        {"network.family": "msg", "network.minibatch_std": 2, "loss.name": "wasserstein"},
        {"network.family": "style", "regularization.r1": 1.0, "network.path_length_every": 2},
        {"network.family": "progressive", **ADAPTIVE, "regularization.instance_noise": 0.2},
    ],
    ids=lambda values: "+".join(str(value) for value in values.values()),
)
def test_two_parts_train_as_the_whole_does(values: dict[str, Any]) -> None:
    whole, halves = (
        GanRun(config_of({**values, "images": 96, "images_per_tick": 96, "accumulate": count}), few_images())
        for count in (1, 2)
    )
    expected, found = timeless(whole.tick()), timeless(halves.tick())
    # the mean path length moves in two halves, of which the first part sees one: 0.25 % of its penalty
    assert found == pytest.approx(expected, rel=4e-3 if "style" in values.values() else 1e-3, abs=1e-4)
    assert halves.images_seen == whole.images_seen == 96


def _weights_after_five_steps(rank: int, values: dict[str, Any], world_size: int) -> dict[str, Tensor]:
    config = config_of(values)
    players, settings = (
        build_players(config, channels=3, device=CPU),
        step_settings(config, device=CPU, world_size=world_size),
    )
    share = slice(rank * 16 // world_size, (rank + 1) * 16 // world_size)
    for step in range(5):
        randomness = torch.Generator().manual_seed(step)
        real = torch.rand(16, 3, 16, 16, generator=randomness) * 2 - 1
        latents = torch.randn(16, 8, generator=randomness)
        train_step(players, real[share], latents[share], None, settings, UNCOMPILED, who_trains=BOTH)
    networks = {"generator": players.generator, "discriminator": players.discriminator}
    return {
        f"{role}.{name}": parameter.detach().clone()
        for role, network in networks.items()
        for name, parameter in network.named_parameters()
    }


def test_two_parts_are_normalized_as_by_two_ranks(tmp_path: Path) -> None:
    of_ranks, _ = on_two_ranks(_weights_after_five_steps, {}, 2, folder=tmp_path)
    in_parts = _weights_after_five_steps(0, {"accumulate": 2}, 1)
    whole = _weights_after_five_steps(0, {}, 1)
    for name, tensor in in_parts.items():
        torch.testing.assert_close(of_ranks[name], tensor, rtol=1e-3, atol=2e-5)
    assert any(not torch.allclose(whole[name], in_parts[name], rtol=1e-3, atol=2e-5) for name in whole)


def test_two_ranks_with_two_parts_each_end_with_the_same_weights(tmp_path: Path) -> None:
    values = {"network.family": "progressive", "accumulate": 2}
    first, second = on_two_ranks(_weights_after_five_steps, values, 2, folder=tmp_path)
    alone = _weights_after_five_steps(0, {"network.family": "progressive"}, 1)
    for name, tensor in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], tensor, rtol=1e-3, atol=2e-5)


def test_the_generator_s_statistics_move_once_for_each_part() -> None:
    config = config_of({"accumulate": 4})
    players = build_players(config, channels=3, device=CPU)
    norms = [each for each in players.generator.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    seen: list[Tensor] = []
    norms[0].register_forward_hook(lambda module, inputs, _: seen.append(inputs[0].detach().mean((0, 2, 3))))
    settings = step_settings(config, device=CPU, world_size=1)
    real, latents = torch.rand(16, 3, 16, 16) * 2 - 1, torch.randn(16, 8)
    expected = norms[0].running_mean.clone()
    train_step(players, real, latents, None, settings, UNCOMPILED, who_trains=BOTH)
    assert len(seen) == 8  # once for the discriminator and once for the backward pass
    for mean in seen[4:]:
        expected.lerp_(mean, 0.1)
    torch.testing.assert_close(norms[0].running_mean, expected)


def test_a_part_takes_the_memory_of_a_smaller_batch() -> None:
    values = {"data.resolution": 32, "network.width": 32, "batch": 64}
    whole, parts, small = (
        estimate_memory(config_of({**values, **more}), channels=3).activations
        for more in ({}, {"accumulate": 8}, {"batch": 8})
    )
    images = 64 * 3 * 32 * 32 * 4  # real and generated ones of the whole batch stay
    assert small <= parts <= small + 4 * images < whole / 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"accumulate": 0}, "--accumulate must lie between 1 and 4096, not 0; try 2"),
        ({"accumulate": 16}, "worker times --accumulate 16 with at least 2 images each, not 16; try 32"),
        (
            {"accumulate": 3, "network.packing": 2},
            "a multiple of 6, that is --packing 2 times --accumulate 3, not 16; try 12 or 18",
        ),
    ],
)
def test_parts_that_do_not_divide_a_batch_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        CONFIG.with_values(values).check_workers(1)
