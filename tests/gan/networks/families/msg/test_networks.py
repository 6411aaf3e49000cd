"""The family that draws and judges all scales at once."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gan import checkpoint
from gan.config import NetworkConfig
from gan.networks import build_discriminator, build_generator, scales_of
from gan.networks.families.msg.networks import Discriminator, Generator
from gan.networks.pyramid import pyramids, split
from gan.training.run import GanRun
from gan.training.view import see
from tests.gan.ranks import on_two_ranks
from tests.gan.training.runs import assert_same_state, config_of, errors_on_a_ramp, few_images, timeless

CONFIG = NetworkConfig(family="msg", width=4, latent_size=6)
MSG = {"network.family": "msg", "optimizer.generator_lr": 1e-3, "optimizer.discriminator_lr": 1e-3}


def networks(resolution: int = 32, packing: int = 1) -> tuple[Generator, Discriminator]:
    config = NetworkConfig(family="msg", width=4, latent_size=6, packing=packing)
    generator = build_generator(config, resolution=resolution, channels=3, seed=1)
    discriminator = build_discriminator(config, resolution=resolution, channels=3, seed=2)
    assert isinstance(generator, Generator) and isinstance(discriminator, Discriminator)
    return generator, discriminator


def test_a_generator_in_training_gives_all_scales_and_else_the_largest() -> None:
    generator = networks()[0]
    latents = torch.randn(2, 6)
    stack, images = generator(latents), generator.eval()(latents)
    assert stack.shape == (2, 3, 48, 32) and scales_of(CONFIG, 32) == 3
    assert images.shape == (2, 3, 32, 32)
    for one, other in zip(split(stack, 3), generator.all_scales(latents), strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(stack[:, :, :32], images)


def test_every_scale_reaches_the_logit_and_every_layer_its_gradient() -> None:
    generator, discriminator = networks()
    stack = generator(torch.randn(2, 6)).detach().requires_grad_()
    discriminator(stack).sum().backward()
    assert stack.grad is not None
    for gradient in split(stack.grad, 3):
        assert (gradient.abs().amax(dim=1) > 0).all()
    discriminator(generator(torch.randn(2, 6))).sum().backward()
    for network in (generator, discriminator):
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_gradients_are_those_of_finite_differences() -> None:
    judge = networks(resolution=16)[1].double()
    stack = pyramids(torch.rand(1, 3, 16, 16, dtype=torch.float64) * 2 - 1, 2).requires_grad_()
    assert torch.autograd.gradcheck(judge, (stack,), fast_mode=True)
    assert torch.autograd.gradgradcheck(judge, (stack,), fast_mode=True)  # as a gradient penalty needs it


def test_real_images_are_seen_as_pyramids_and_all_their_scales_change_alike() -> None:
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    plain = see(images, (), (), None, 1, 2)
    torch.testing.assert_close(plain, pyramids(images, 2))
    shifts = torch.tensor([0.0, 0.1, 0.2, 0.3])[:, None, None, None]

    def brighter(seen: torch.Tensor, numbers: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return seen + numbers

    both = [
        see(given, (brighter,), (shifts,), None, 1, 2, are)
        for given, are in ((images, False), (pyramids(images, 2), True))
    ]
    torch.testing.assert_close(both[0], both[1])
    for changed, before in zip(split(both[0], 2), split(plain, 2), strict=True):
        torch.testing.assert_close(changed, before + shifts)
    packs = see(images, (), (), None, 2, 2)
    halves = F.avg_pool2d(images, 2)
    torch.testing.assert_close(split(packs, 2)[1], torch.cat([halves[::2], halves[1::2]], dim=1))


EVERYTHING = {
    "network.packing": 2,
    "network.minibatch_std": 2,
    "regularization.r1": 0.1,
    "regularization.augment": "colour,translation,cutout",
    "regularization.instance_noise": 0.1,
    "balance.policy": "adaptive",
    "balance.augment_every": 2,
}


@pytest.mark.parametrize(
    "values",
    [{}, {"loss.name": "wasserstein"}, {"network.spectral_norm": True, "loss.name": "hinge"}, EVERYTHING],
)
def test_a_moved_run_gives_the_numbers_of_one_that_stayed(values: dict[str, object]) -> None:
    torch.set_num_threads(1)
    config, images = config_of({**MSG, **values}), few_images()
    stayed, moved = GanRun(config, images), GanRun(config, images)
    for _ in range(3):
        data = checkpoint.to_bytes(moved.state_dict())
        moved = GanRun(config, images)
        moved.load_state_dict(checkpoint.from_bytes(data))
        assert timeless(moved.tick()) == timeless(stayed.tick())
    assert_same_state(moved, stayed)
    np.testing.assert_array_equal(moved.sample_grid(), stayed.sample_grid())


def test_two_ranks_end_where_one_rank_does(tmp_path: Path) -> None:
    first, second = on_two_ranks(_ticks, folder=tmp_path)
    assert first["rows"] == second["rows"]
    for row, expected in zip(first["rows"], _ticks(0, world_size=1)["rows"], strict=True):
        assert timeless(row) == pytest.approx(timeless(expected), rel=2e-3)


def _ticks(rank: int, world_size: int = 2) -> dict[str, list[dict[str, float]]]:
    run = GanRun(config_of(MSG), few_images(), rank=rank, world_size=world_size)
    return {"rows": [run.tick() for _ in range(2)]}


def test_it_learns_a_picture() -> None:
    before, after = errors_on_a_ramp(MSG)
    assert after < before / 2
