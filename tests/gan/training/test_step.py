"""One training step against a plainly written one, averages against closed forms, two ranks against one."""

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import DataConfig, GanConfig, NetworkConfig
from gan.distributed import LARGE, Reduction
from gan.training.balance import Turn
from gan.training.passes import UNCOMPILED
from gan.training.players import Players, build_players
from gan.training.step import StepSettings, average_weights, step_settings, sync_and_check, train_step
from gan.training.step_stats import StepStats
from tests.gan.ranks import on_two_ranks

CPU = torch.device("cpu")
BOTH = Turn(discriminator=True, generator=True)
CONFIG = GanConfig(
    network=NetworkConfig(width=4, latent_size=8), data=DataConfig(resolution=16), batch=8, precision="fp32"
)


def _players(config: GanConfig = CONFIG) -> Players:
    return build_players(config, channels=3, device=CPU)


def _settings(config: GanConfig = CONFIG, world_size: int = 1) -> StepSettings:
    return step_settings(config, device=CPU, world_size=world_size)


def _batch(step: int = 0) -> tuple[Tensor, Tensor]:
    randomness = torch.Generator().manual_seed(step)
    return torch.rand(8, 3, 16, 16, generator=randomness) * 2 - 1, torch.randn(8, 8, generator=randomness)


def _step(
    players: Players, settings: StepSettings, step: int = 0, *, d: bool = True, g: bool = True
) -> tuple[Tensor, Turn]:
    turn = Turn(discriminator=d, generator=g)
    return train_step(players, *_batch(step), None, settings, UNCOMPILED, who_trains=turn)


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_three_steps_are_those_of_the_commonly_written_step() -> None:
    ours, settings = _players(), _settings()
    generator, discriminator = copy.deepcopy(ours.generator), copy.deepcopy(ours.discriminator)
    adams = [
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (generator, discriminator)
    ]
    for step in range(3):
        numbers, _ = _step(ours, settings, step)

        real, latents = _batch(step)
        discriminator.zero_grad()
        real_logits = discriminator(real)
        on_real = F.binary_cross_entropy_with_logits(real_logits, torch.ones(8))
        on_real.backward()
        fakes = generator(latents)
        fake_logits = discriminator(fakes.detach())
        on_fakes = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros(8))
        on_fakes.backward()
        adams[1].step()
        generator.zero_grad()
        loss = F.binary_cross_entropy_with_logits(discriminator(fakes), torch.ones(8))
        loss.backward()
        adams[0].step()

        expected = [
            on_real + on_fakes,
            (real_logits > 0).float().mean(),
            (fake_logits <= 0).float().mean(),
            loss,
        ]
        torch.testing.assert_close(numbers, torch.stack(expected).detach(), rtol=1e-5, atol=1e-6)
    for network, reference in ((ours.generator, generator), (ours.discriminator, discriminator)):
        for name, tensor in reference.state_dict().items():
            torch.testing.assert_close(network.state_dict()[name], tensor, rtol=1e-3, atol=2e-5)


def test_a_resting_discriminator_is_measured_and_keeps_its_weights() -> None:
    trained, rested = _players(), _players()
    before = [parameter.clone() for parameter in rested.discriminator.parameters()]
    numbers, says_trained = _step(trained, _settings())
    measured, says_rested = _step(rested, _settings(), d=False)
    assert (says_trained.discriminator, says_rested.discriminator) == (True, False)
    torch.testing.assert_close(measured[:3], numbers[:3])
    assert all(map(torch.equal, before, rested.discriminator.parameters()))
    assert not rested.discriminator_optimizer.state
    assert rested.generator_optimizer.state


def test_a_resting_generator_keeps_its_weights() -> None:
    players = _players()
    before = [parameter.clone() for parameter in players.generator.parameters()]
    numbers, _ = _step(players, _settings(), g=False)
    assert all(map(torch.equal, before, players.generator.parameters()))
    assert numbers[3] == 0
    assert players.discriminator_optimizer.state


def test_no_gradient_is_left_or_computed_for_the_frozen_player() -> None:
    players = _players()
    met: list[bool] = []
    players.generator_optimizer.register_step_pre_hook(
        lambda *_: met.append(any(p.grad is not None for p in players.discriminator.parameters()))
    )
    _step(players, _settings())
    assert met == [False]
    assert all(p.grad is None for net in (players.generator, players.discriminator) for p in net.parameters())


def test_the_penalty_trains_the_critic_but_is_not_part_of_its_reported_loss() -> None:
    config = CONFIG.with_values({"loss.name": "wasserstein", "loss.gradient_penalty": 10.0})
    with_penalty, without = _players(config), _players(config)
    plain = dataclasses.replace(_settings(config), penalty_weight=0.0)
    shares = torch.rand(8)
    rows = [
        train_step(
            players,
            *_batch(),
            shares,
            settings,
            UNCOMPILED,
            who_trains=BOTH,
        )[0]
        for players, settings in ((with_penalty, _settings(config)), (without, plain))
    ]
    torch.testing.assert_close(rows[0][:3], rows[1][:3])
    first, second = _weights(with_penalty.discriminator), _weights(without.discriminator)
    assert not torch.equal(first["blocks.0.0.weight"], second["blocks.0.0.weight"])


@pytest.mark.parametrize("loss", ["non-saturating", "hinge", "least-squares", "wasserstein"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_every_loss_steps_in_every_precision(loss: str, precision: str, spectral_norm: bool) -> None:
    config = CONFIG.with_values(
        {"loss.name": loss, "precision": precision, "network.spectral_norm": spectral_norm}
    )
    players = _players(config)
    before = _weights(players.discriminator)
    numbers, _ = train_step(
        players,
        *_batch(),
        torch.rand(8),
        _settings(config),
        UNCOMPILED,
        who_trains=BOTH,
    )
    assert numbers.dtype == torch.float32
    assert numbers.isfinite().all()
    assert all(p.dtype == torch.float32 for p in players.generator.parameters())
    assert not torch.equal(before["from_image.weight"], players.discriminator.from_image.weight)


def test_the_average_halves_its_distance_in_one_half_life_buffers_included() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = copy.deepcopy(network)
    start = _weights(average)
    with torch.no_grad():
        for tensor in (*network.parameters(), network[1].running_mean):
            tensor.add_(1.0)
    settings = _settings(dataclasses.replace(CONFIG, ema_half_life=40, batch=8))
    for _ in range(5):  # 5 batches of 8 are a half-life of 40 images
        average_weights(average, network, settings.ema_decay(8))
    for name in ("0.weight", "1.weight", "1.running_mean"):
        torch.testing.assert_close(average.state_dict()[name], start[name] + 0.5)


def test_the_half_life_counts_the_images_shown_also_where_the_generator_rests() -> None:
    players = _players()
    with torch.no_grad():
        for parameter in players.ema.parameters():
            parameter.sub_(1.0)
    settings = _settings(dataclasses.replace(CONFIG, ema_half_life=40, batch=8))
    for _ in range(5):  # 5 batches of 8 images are a half-life, and the generator trains in none of them
        _step(players, settings, g=False)
    pairs = zip(players.ema.parameters(), players.generator.parameters(), strict=True)
    for average, weights in pairs:
        torch.testing.assert_close(average, weights - 0.5)


def test_without_a_half_life_the_average_is_the_generator() -> None:
    players = _players()
    _step(players, _settings(dataclasses.replace(CONFIG, ema_half_life=0)))
    first, second = _weights(players.ema), _weights(players.generator)
    for name in first:
        if first[name].is_floating_point():
            torch.testing.assert_close(first[name], second[name])


def test_sync_and_check_names_the_network_that_is_not_finite() -> None:
    players = _players()
    assert sync_and_check(players, 1) == ""
    with torch.no_grad():
        next(players.discriminator.parameters())[0] = torch.inf
    assert sync_and_check(players, 1) == "discriminator"


def test_means_leave_out_steps_in_which_the_generator_rested() -> None:
    stats = StepStats(CPU)
    stats.start_tick()
    for values, trained in (((1, 0.5, 1, 4), True), ((2, 0.5, 0, 0), False), ((3, 1, 1, 6), True)):
        stats.add(torch.tensor(values, dtype=torch.float32), generator_trained=trained)
    means = stats.means(3, generator_steps=2)
    assert means == pytest.approx(
        {"discriminator_loss": 2, "accuracy_real": 2 / 3, "accuracy_fake": 2 / 3, "generator_loss": 5}
    )
    stats.start_tick()
    stats.add(torch.tensor([1.0, 1, 1, 0]), generator_trained=False)
    assert stats.means(1, generator_steps=0)["generator_loss"] == 6


def _reduced(rank: int) -> list[Tensor]:
    network = torch.nn.Conv2d(64, LARGE // 1024, 4, bias=True).to(memory_format=torch.channels_last)
    factors = torch.arange(float(network.weight.numel())).view_as(network.weight)
    reduction = Reduction(network, 2)
    ((network.weight * factors).sum() * (rank + 1) + network.bias.sum() * rank).backward()
    numbers = reduction.finish(torch.tensor([1.0, float(rank)]))
    return [*(parameter.grad for parameter in network.parameters() if parameter.grad is not None), numbers]


def test_ranks_share_the_sum_of_gradients_and_the_mean_of_numbers(tmp_path: Path) -> None:
    for weight, bias, numbers in on_two_ranks(_reduced, folder=tmp_path):
        assert weight.numel() == LARGE
        torch.testing.assert_close(weight, torch.arange(float(LARGE)).view_as(weight) * 3)
        torch.testing.assert_close(bias, torch.ones(LARGE // 1024))
        torch.testing.assert_close(numbers, torch.tensor([1.0, 0.5]))


def _ten_steps_on_a_share(rank: int, values: dict[str, object], world_size: int = 2) -> dict[str, Tensor]:
    config = CONFIG.with_values(values)
    players, settings = _players(config), _settings(config, world_size)
    share = slice(rank * 8 // world_size, (rank + 1) * 8 // world_size)
    for step in range(10):
        real, latents = _batch(step)
        train_step(
            players,
            real[share],
            latents[share],
            None,
            settings,
            UNCOMPILED,
            who_trains=BOTH,
        )
    sync_and_check(players, world_size)
    networks = {"generator": players.generator, "discriminator": players.discriminator, "ema": players.ema}
    return {
        f"{role}.{name}": tensor
        for role, net in networks.items()
        for name, tensor in net.state_dict().items()
    }


def test_two_ranks_end_with_one_rank_s_weights_after_ten_steps_with_synchronized_batch_norm(
    tmp_path: Path,
) -> None:
    values: dict[str, object] = {"network.sync_batch_norm": True}
    first, second = on_two_ranks(_ten_steps_on_a_share, values, folder=tmp_path)
    alone = _ten_steps_on_a_share(0, values, world_size=1)
    _assert_equal(first, second)
    for name, tensor in alone.items():
        # Adam's first steps have the size of the learning rate whatever the gradient: 1 % of ten of them
        torch.testing.assert_close(first[name], tensor, rtol=1e-3, atol=2e-5)


def test_without_it_the_ranks_still_agree_and_only_batch_norm_tells_them_from_one_rank(
    tmp_path: Path,
) -> None:
    first, second = on_two_ranks(_ten_steps_on_a_share, {}, folder=tmp_path)
    alone = _ten_steps_on_a_share(0, {}, world_size=1)
    _assert_equal(first, second)
    assert any(not torch.allclose(first[name], alone[name], rtol=1e-3, atol=2e-5) for name in alone)
