"""The R1 penalty against finite differences, when it is due, and the network that it needs."""

import math

import pytest
import torch
from torch import Tensor, nn

from common.errors import ConfigError
from gan.config import GanConfig
from gan.networks import build_discriminator
from gan.training.losses import LOSSES
from gan.training.regularization import REGULARIZERS
from gan.training.regularizing import critic_norm

R1 = REGULARIZERS["r1"]
IMAGES = torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def _critic(spectral_norm: bool = False) -> nn.Module:
    config = GanConfig().with_values(
        {"network.width": 2, "network.spectral_norm": spectral_norm, "regularization.r1": 1.0}
    )
    network = build_discriminator(config.network, resolution=16, channels=2, norm=critic_norm(config))
    return network.double().eval()


def _penalty(critic: nn.Module) -> Tensor:
    assert R1.penalty is not None
    return R1.penalty(critic, IMAGES)


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_the_penalty_is_half_the_squared_gradient_that_finite_differences_find(spectral_norm: bool) -> None:
    critic, step = _critic(spectral_norm), 1e-5
    squares = []
    for image in IMAGES:
        moves = torch.eye(image.numel(), dtype=torch.float64).view(-1, *image.shape) * step
        with torch.no_grad():
            slopes = (critic(image + moves) - critic(image - moves)) / (2 * step)
        squares.append(slopes.square().sum())
    torch.testing.assert_close(_penalty(critic), torch.stack(squares).mean() / 2, rtol=1e-5, atol=0)


def test_the_penalty_s_gradient_in_a_weight_is_that_of_finite_differences() -> None:
    critic, step = _critic(), 1e-4
    weight = critic.get_parameter("blocks.0.0.weight")
    (gradient,) = torch.autograd.grad(_penalty(critic), weight)
    for index in ((0, 0, 0, 0), (3, 1, 2, 3), (1, 0, 3, 1)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[index] += sign * step
            values.append(float(_penalty(critic).detach()))
            with torch.no_grad():
                weight[index] -= sign * step
        assert float(gradient[index]) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_a_lazy_penalty_comes_every_so_many_updates_and_weighs_the_same_in_the_mean() -> None:
    settings = GanConfig.from_dict({"regularization": {"r1": 0.5, "r1_every": 4}}).regularization
    weights = [R1.penalty_weight(settings, update) for update in range(16)]
    assert weights == [2.0, 0.0, 0.0, 0.0] * 4
    assert math.fsum(weights) / 16 == 0.5


@pytest.mark.parametrize("loss", LOSSES.names)
def test_with_it_every_loss_has_a_discriminator_that_judges_each_image_alone(loss: str) -> None:
    config = GanConfig().with_values({"loss.name": loss})
    assert critic_norm(config) == LOSSES[loss].critic_norm
    assert critic_norm(config.with_values({"regularization.r1": 0.1})) == "layer"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"r1": -1.0}, "--r1 must lie between 0 and 1e"),
        ({"r1": math.nan}, "--r1 must lie between 0 and 1e"),
        ({"r1_every": 0}, "--r1-every must lie between 1 and 1000, not 0; try 4"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GanConfig.from_dict({"regularization": values})
