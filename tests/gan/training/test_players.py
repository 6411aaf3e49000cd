"""The players' state: what earlier versions saved is still loaded."""

import torch

from gan.config import DataConfig, GanConfig, NetworkConfig
from gan.training.balance import Turn
from gan.training.passes import UNCOMPILED
from gan.training.players import Players, build_players, load_players, players_tensors
from gan.training.step import step_settings, train_step

CPU = torch.device("cpu")
CONFIG = GanConfig(
    network=NetworkConfig(width=4, latent_size=8, spectral_norm=True),
    data=DataConfig(resolution=16),
    batch=8,
    precision="fp32",
)


def _step(players: Players) -> None:
    randomness = torch.Generator().manual_seed(1)
    train_step(
        players,
        torch.rand(8, 3, 16, 16, generator=randomness) * 2 - 1,
        torch.randn(8, 8, generator=randomness),
        None,
        step_settings(CONFIG, device=CPU, world_size=1),
        UNCOMPILED,
        who_trains=Turn(discriminator=True, generator=True),
    )


def test_a_state_from_before_spectral_layers_had_biases_is_the_same_function_and_trains_on() -> None:
    players = build_players(CONFIG, channels=3, device=CPU)
    biases = [name for name, _ in players.discriminator.named_parameters() if name.endswith(".bias")]
    assert biases == ["from_image.bias", "blocks.0.0.bias", "to_logit.bias"]
    _step(players)
    with torch.no_grad():  # as it was without biases
        for name in biases:
            players.discriminator.get_parameter(name).zero_()
    saved = players_tensors(players)
    earlier = {name: tensor for name, tensor in saved.items() if not any(bias in name for bias in biases)}
    assert len(earlier) < len(saved)

    resumed = build_players(CONFIG, channels=3, device=CPU)
    load_players(resumed, earlier)
    images = torch.rand(4, 3, 16, 16)
    for each in (players, resumed):
        each.discriminator.eval()
    torch.testing.assert_close(resumed.discriminator(images), players.discriminator(images))
    resumed.discriminator.train()
    _step(resumed)
    assert all(resumed.discriminator.get_parameter(name).abs().max() > 0 for name in biases)
