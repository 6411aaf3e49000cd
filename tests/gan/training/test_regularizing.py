"""What the regularizers do in one step; and no work where all are off."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan.config import GanConfig
from gan.distributed import Ranks
from gan.training import regularizing
from gan.training.balance import Turn
from gan.training.passes import UNCOMPILED
from gan.training.players import Players, build_players
from gan.training.regularizing import Regularizing
from gan.training.step import step_settings, train_step
from gan.training.view import PLAIN, StepRegularization
from tests.gan.training.runs import ADAPTIVE, CONFIG, few_images

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _step_of(regular: Regularizing, step: int) -> StepRegularization:
    return regular.for_step(step, images_seen=16 * step, progress=step / 100, batch=16)


def test_where_all_are_off_a_step_is_asked_for_nothing() -> None:
    off = Regularizing(CONFIG, few_images(), ranks=Ranks(), device=CPU)
    assert all(_step_of(off, step) is PLAIN for step in range(10))
    assert off.row() == {}


def test_the_discriminator_that_rests_does_not_miss_the_penalty_for_ever() -> None:
    config = CONFIG.with_values({"regularization.r1": 1.0, "regularization.r1_every": 4})
    regular = Regularizing(config, few_images(), ranks=Ranks(), device=CPU)
    due = []
    for step in range(32):  # it trains in every fourth step, which a fixed calendar might always miss
        trains = step % 4 == 3
        if trains and _step_of(regular, step).penalties:
            due.append(step)
        regular.count(Turn(discriminator=trains, generator=True))
    assert due == [3, 19]


def _players(config: GanConfig) -> Players:
    return build_players(config, channels=3, device=CPU)


def _one_step(
    config: GanConfig, real: Tensor, latents: Tensor, *, shares: Tensor | None = None
) -> tuple[Tensor, nn.Module, nn.Module]:
    """A step's numbers and both networks before it, by a seed."""
    players = _players(config)
    before = _players(config)
    regular = Regularizing(config, few_images(), ranks=Ranks(), device=CPU)
    numbers, _ = train_step(
        players,
        real,
        latents,
        shares,
        step_settings(config, device=CPU, world_size=1),
        UNCOMPILED,
        who_trains=Turn(discriminator=True, generator=True),
        regularization=_step_of(regular, 0),
    )
    return numbers, before.generator, before.discriminator


@pytest.mark.parametrize("packing", [2, 4])
def test_packed_losses_and_accuracies_are_those_of_packs_made_by_a_loop(packing: int) -> None:
    config = CONFIG.with_values({"network.packing": packing})
    randomness = torch.Generator().manual_seed(0)
    real = torch.rand(16, 3, 16, 16, generator=randomness) * 2 - 1
    latents = torch.randn(16, 8, generator=randomness)
    numbers, generator, discriminator = _one_step(config, real, latents)

    def packs(images: Tensor) -> Tensor:
        rows = [images[first : first + packing] for first in range(0, 16, packing)]
        return torch.stack([torch.cat(list(row)) for row in rows])

    with torch.no_grad():
        on_real = discriminator(packs(real))
        on_fakes = discriminator(packs(generator(latents)))
    assert on_real.shape == (16 // packing,)
    expected = nn.functional.softplus(-on_real).mean() + nn.functional.softplus(on_fakes).mean()
    torch.testing.assert_close(numbers[0], expected)
    assert float(numbers[1]) == pytest.approx(float((on_real > 0).float().mean()))
    assert float(numbers[2]) == pytest.approx(float((on_fakes <= 0).float().mean()))


def test_r1_adds_its_weight_times_its_gradient_to_the_discriminator_s() -> None:
    """Adam's first moment after one step is 1 - beta1 times the gradient."""
    config = CONFIG.with_values(
        {"regularization.r1": 3.0, "regularization.r1_every": 2, "optimizer.beta1": 0.5}
    )
    players = _players(config)
    critic = _players(config).discriminator
    generator = _players(config).generator
    randomness = torch.Generator().manual_seed(0)
    real = torch.rand(16, 3, 16, 16, generator=randomness) * 2 - 1
    latents = torch.randn(16, 8, generator=randomness)
    at = real.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(at).sum(), at, create_graph=True)
    penalty = sum(each.square().sum() for each in gradient) / 16 / 2
    loss = nn.functional.softplus(-critic(real)).mean()
    loss = loss + nn.functional.softplus(critic(generator(latents).detach())).mean()
    (loss + 3.0 * 2 * penalty).backward()
    regular = Regularizing(config, few_images(), ranks=Ranks(), device=CPU)
    train_step(
        players,
        real,
        latents,
        None,
        step_settings(config, device=CPU, world_size=1),
        UNCOMPILED,
        who_trains=Turn(discriminator=True, generator=True),
        regularization=_step_of(regular, 0),
    )
    for ours, expected in zip(players.discriminator.parameters(), critic.parameters(), strict=True):
        moment = players.discriminator_optimizer.state[ours]["exp_avg"]
        torch.testing.assert_close(moment, expected.grad * 0.5, rtol=1e-4, atol=1e-6)


def test_the_policy_is_told_the_outputs_on_this_step_s_images_and_on_held_out_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[Tensor, ...]] = []
    monkeypatch.setattr(
        regularizing, "mean_outputs", lambda network, sets, dtype: told.append(sets) or torch.zeros(3)
    )
    config = CONFIG.with_values(ADAPTIVE)  # its probability is 0 in the first step: images stay as they are
    randomness = torch.Generator().manual_seed(0)
    real = torch.rand(16, 3, 16, 16, generator=randomness) * 2 - 1
    latents = torch.randn(16, 8, generator=randomness)
    _, generator, _ = _one_step(config, real, latents)
    ((seen_real, held_out, generated),) = told
    assert torch.equal(seen_real, real)
    torch.testing.assert_close(generated, generator(latents))
    pixels = held_out.mul(127.5).add(127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    allowed = {image.tobytes() for image in few_images().held_out[0::2]}
    found = {np.ascontiguousarray(image).tobytes() for image in pixels}
    # never the other half, against which a sweep's winner is measured again
    assert len(found) == 16 and found <= allowed
