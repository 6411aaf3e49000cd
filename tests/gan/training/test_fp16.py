"""Training in fp16: gradients near those in fp32, steps that are left out, a scale that a resume keeps."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gan import checkpoint
from gan.config import GanConfig
from gan.training.balance import Turn
from gan.training.passes import UNCOMPILED
from gan.training.players import Players, build_players, load_scales, scales
from gan.training.run import Diverged, GanRun
from gan.training.step import step_settings, train_step
from tests.gan.training.runs import assert_same_state, config_of, few_images, timeless

CPU = torch.device("cpu")
FAMILIES = ["dcgan", "resnet", "progressive", "msg", "style"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _step(players: Players, config: GanConfig) -> Tensor:
    randomness = torch.Generator().manual_seed(0)
    real = torch.rand(16, 3, 16, 16, generator=randomness) * 2 - 1
    latents, shares = torch.randn(16, 8, generator=randomness), torch.rand(16, generator=randomness)
    settings = step_settings(config, device=CPU, world_size=1)
    turn = Turn(discriminator=True, generator=True)
    return train_step(players, real, latents, shares, settings, UNCOMPILED, who_trains=turn)[0]


def _moments(players: Players) -> Tensor:
    """Adam's first moments of both players after one step: half the gradients."""
    both = (players.generator_optimizer, players.discriminator_optimizer)
    return torch.cat([state["exp_avg"].flatten() for adam in both for state in adam.state.values()])


@pytest.mark.parametrize("loss", ["non-saturating", "wasserstein"])
def test_its_gradients_are_those_of_fp32_with_fewer_digits(loss: str) -> None:
    found = []
    for precision in ("fp32", "fp16"):
        config = config_of({"precision": precision, "loss.name": loss})
        players = build_players(config, channels=3, device=CPU)
        load_scales(players, {"generator": [2.0**8, 0], "discriminator": [2.0**8, 0]})
        numbers = _step(players, config)
        found.append((numbers, _moments(players)))
    (exact, expected), (rounded, gradients) = found
    torch.testing.assert_close(rounded, exact, rtol=2e-2, atol=2e-2)
    assert (gradients - expected).norm() < 0.03 * expected.norm()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_in_it(family: str) -> None:
    values = {"network.family": family, "precision": "fp16", "images": 256, "images_per_tick": 256}
    if family == "style":
        values |= {"regularization.r1": 1.0, "network.path_length_every": 2}
    # in its first steps the scale is too large, as it begins
    run = GanRun(config_of(values), few_images())
    before = run.state_dict().tensors
    row = run.tick()
    after = run.state_dict().tensors
    assert 0 < row["generator_gradient"] < 1e4 and 0 < row["discriminator_gradient"] < 1e4
    moved = [name for name in after if name.startswith(("generator.", "discriminator."))]
    assert any(not torch.equal(before[name], after[name]) for name in moved)


def test_a_step_whose_scaled_gradients_exceed_fp16_is_left_out_and_the_scale_halved() -> None:
    config = config_of({"precision": "fp16"})
    players = build_players(config, channels=3, device=CPU)
    load_scales(players, {"generator": [2.0**16, 0], "discriminator": [2.0**40, 0]})
    before = [parameter.detach().clone() for parameter in players.discriminator.parameters()]
    _step(players, config)
    assert all(map(torch.equal, before, players.discriminator.parameters()))
    assert scales(players) == {"generator": [2.0**16, 1], "discriminator": [2.0**39, 0]}


def test_a_resumed_run_keeps_its_scale() -> None:
    config = config_of({"precision": "fp16"})
    stayed, moved = GanRun(config, few_images()), GanRun(config, few_images())
    for run in (stayed, moved):
        load_scales(run._players, {"generator": [2.0**12, 7], "discriminator": [2.0**30, 3]})
    for _ in range(2):
        state = checkpoint.from_bytes(checkpoint.to_bytes(moved.state_dict()))
        moved = GanRun(config, few_images())
        moved.load_state_dict(state)
        assert timeless(moved.tick()) == timeless(stayed.tick())
    assert_same_state(stayed, moved)
    assert scales(stayed._players)["generator"][0] == 2.0**12


@pytest.mark.parametrize("meta", [{}, {"scales": {}}])
def test_a_run_goes_on_in_it_from_a_state_of_another_precision(meta: dict[str, Any]) -> None:
    run = GanRun(config_of({"precision": "fp32"}), few_images())
    run.tick()
    state = run.state_dict()
    state.meta.pop("scales")
    state.meta.update(meta)
    resumed = GanRun(config_of({"precision": "fp16"}), few_images())
    resumed.load_state_dict(state)
    resumed.tick()
    assert scales(resumed._players)["generator"][0] == 2.0**16


def test_gradients_that_never_fit_end_the_run() -> None:
    run = GanRun(config_of({"precision": "fp16"}), few_images())
    load_scales(run._players, {"generator": [2.0**-11, 0], "discriminator": [2.0**16, 0]})
    with pytest.raises(Diverged, match="the generator's gradients exceed fp16 by step 4"):
        run.tick()
