"""The family that grows: what it draws and sees at each side, in a fade, after a resume and on two ranks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from common.errors import ConfigError
from gan import checkpoint
from gan.config import GanConfig, NetworkConfig
from gan.networks import build_discriminator, build_generator
from gan.networks.families.progressive.networks import Discriminator, Generator
from gan.remarks import remarks
from gan.training import seeding
from gan.training.run import GanRun
from tests.gan.ranks import on_two_ranks
from tests.gan.training.runs import assert_same_state, config_of, errors_on_a_ramp, few_images, timeless

CONFIG = NetworkConfig(family="progressive", width=4, latent_size=6, stable_images=100, fade_images=40)
GROWING = {
    "network.family": "progressive",
    "network.stable_images": 48,
    "network.fade_images": 80,
    "optimizer.generator_lr": 1e-3,
    "optimizer.discriminator_lr": 1e-3,
}


def networks_at(images_seen: int, resolution: int = 32) -> tuple[Generator, Discriminator]:
    generator = build_generator(CONFIG, resolution=resolution, channels=3, seed=1)
    discriminator = build_discriminator(CONFIG, resolution=resolution, channels=3, seed=2)
    assert isinstance(generator, Generator) and isinstance(discriminator, Discriminator)
    for network in (generator, discriminator):
        network.growth.set_images_seen(images_seen)
    return generator, discriminator


@pytest.mark.parametrize(("images_seen", "block"), [(0, 4), (120, 2), (200, 2), (300, 1)])
def test_smaller_sides_are_drawn_in_blocks_of_equal_pixels(images_seen: int, block: int) -> None:
    images = networks_at(images_seen)[0](torch.randn(3, 6))
    assert images.shape == (3, 3, 32, 32)
    cells = images.unflatten(3, (-1, block)).unflatten(2, (-1, block))
    assert torch.equal(cells, cells[:, :, :, :1, :, :1].expand_as(cells))
    if block > 1:  # and not in larger ones
        assert not torch.equal(
            images[:, :, ::block, ::block][..., ::2], images[:, :, ::block, ::block][..., 1::2]
        )


def test_a_fade_goes_from_the_smaller_image_to_the_larger() -> None:
    latents = torch.randn(2, 6)
    begin, middle, end = (networks_at(images)[0] for images in (100, 120, 140))
    before = networks_at(99)[0]
    torch.testing.assert_close(begin(latents), before(latents))
    mixed = (torch.atanh(before(latents)) + torch.atanh(end(latents))) / 2
    torch.testing.assert_close(torch.atanh(middle(latents)), mixed, rtol=1e-3, atol=1e-5)


def test_the_discriminator_sees_no_more_than_the_side_it_has_grown_to() -> None:
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    coarse = F.interpolate(F.avg_pool2d(images, 4), scale_factor=4, mode="nearest")
    judge = networks_at(0)[1]
    torch.testing.assert_close(judge(images), judge(coarse), rtol=1e-4, atol=1e-5)
    judge.growth.set_images_seen(300)
    assert not torch.allclose(judge(images), judge(coarse), rtol=1e-2)


def test_the_discriminator_begins_a_fade_where_it_was() -> None:
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    before, begin, end = (networks_at(seen)[1] for seen in (99, 100, 140))
    torch.testing.assert_close(begin(images), before(images), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(end(images), before(images), rtol=1e-2)


def test_gradients_in_a_fade_are_those_of_finite_differences() -> None:
    judge = networks_at(115, resolution=16)[1].double()
    images = (torch.rand(1, 3, 16, 16, dtype=torch.float64) * 2 - 1).requires_grad_()
    assert torch.autograd.gradcheck(judge, (images,), fast_mode=True)
    assert torch.autograd.gradgradcheck(judge, (images,), fast_mode=True)  # as a gradient penalty needs it


def test_layers_that_are_not_in_use_have_no_gradient() -> None:
    generator, discriminator = networks_at(0)
    discriminator(generator(torch.randn(2, 6))).sum().backward()
    assert generator.blocks[0].first.weight.grad is not None
    for unused in (generator.blocks[1], generator.to_image[2], discriminator.from_image[1]):
        assert all(parameter.grad is None for parameter in unused.parameters())


@pytest.mark.parametrize("values", [{}, {"loss.name": "wasserstein"}, {"network.packing": 2}])
def test_a_run_moved_in_the_middle_of_fades_gives_the_numbers_of_one_that_stayed(
    values: dict[str, object],
) -> None:
    torch.set_num_threads(1)
    config, images = config_of({**GROWING, "images_per_tick": 40, **values}), few_images()
    stayed, moved = GanRun(config, images), GanRun(config, images)
    sides = []
    for _ in range(4):
        data = checkpoint.to_bytes(moved.state_dict())
        moved = GanRun(config, images)
        moved.load_state_dict(checkpoint.from_bytes(data))
        assert timeless(moved.tick()) == timeless(stayed.tick())
        growth = moved._players.ema.growth
        assert isinstance(growth, torch.nn.Module)
        sides.append((growth.side, growth.is_fading))
    assert sides == [(8, False), (16, True), (16, True), (16, False)]
    assert_same_state(moved, stayed)
    np.testing.assert_array_equal(moved.sample_grid(), stayed.sample_grid())


def test_two_ranks_end_where_one_rank_does(tmp_path: Path) -> None:
    values = {**GROWING, "images_per_tick": 40, "network.minibatch_std": 2}
    first, second = on_two_ranks(_ticks, values, folder=tmp_path)
    alone = _ticks(0, values, world_size=1)
    assert first["rows"] == second["rows"]
    for name, tensor in first["tensors"].items():
        assert torch.equal(tensor, second["tensors"][name]), name
    for row, expected in zip(first["rows"], alone["rows"], strict=True):
        assert timeless(row) == pytest.approx(timeless(expected), rel=2e-3)


def _ticks(rank: int, values: dict[str, object], world_size: int = 2) -> dict[str, object]:
    run = GanRun(config_of(values), few_images(), rank=rank, world_size=world_size)
    return {"rows": [run.tick() for _ in range(3)], "tensors": run.state_dict().tensors}


@pytest.mark.parametrize("resolution", [16, 32, 64])
def test_a_run_that_ends_before_it_is_grown_is_told_when_it_would_be(resolution: int) -> None:
    generator, _ = networks_at(0, resolution)
    needed = generator.growth.schedule.images()
    values = {
        "network.family": "progressive",
        "network.stable_images": CONFIG.stable_images,
        "network.fade_images": CONFIG.fade_images,
        "network.full_batch_side": 512,
        "data.resolution": resolution,
    }
    assert remarks(config_of({**values, "images": needed})) == []
    (said,) = remarks(config_of({**values, "images": needed - 1}))
    assert f"{resolution} x {resolution} pixels are drawn after {needed:,} images" in said
    assert remarks(config_of({"images": 1})) == [], "other families do not grow"


def test_batches_are_halved_with_each_larger_side_and_a_run_is_told() -> None:
    """In the paper's appendix A: 64 images up to 32 x 32, 32 at 64 x 64, 16 at 128 x 128."""
    values = {"network.family": "progressive", "data.resolution": 128, "batch": 64, "images": 10**6}
    config = config_of({**values, "network.stable_images": 1000, "network.fade_images": 500})
    # the layers of 16, 32, 64 and 128 pixels begin to fade in after 1,000, 2,500, 4,000 and 5,500 images
    sizes = {0: 64, 1000: 64, 3999: 64, 4000: 32, 5499: 32, 5500: 16, 10**6: 16}
    assert {seen: config.batches().at(seen) for seen in sizes} == sizes
    (said,) = remarks(config)
    assert said.endswith("as images grow: 64 at 32 x 32, 32 at 64 x 64, 16 at 128 x 128 pixels")


def test_a_run_whose_batches_change_shows_every_image_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[np.ndarray] = []
    real = seeding.real_pixels

    def noted(*args: Any, **values: Any) -> np.ndarray:
        shown.append(real(*args, **values))
        return shown[-1]

    monkeypatch.setattr(seeding, "real_pixels", noted)
    values = {**GROWING, "network.full_batch_side": 8, "images": 90, "images_per_tick": 60}
    run = GanRun(config_of(values), few_images())
    ticks = [run.tick() for _ in range(2)]
    assert [len(each) for each in shown][:4] == [16, 16, 16, 8]  # 16 x 16 pixels after 48 images
    # a tick ends with the batch that completes 60 images, the next one 120
    assert [tick["images_seen"] for tick in ticks] == [64, 120]
    assert run.is_finished
    epoch = np.concatenate(shown)[:60]
    assert len({image.tobytes() for image in epoch}) == 60


def test_batches_that_cannot_be_halved_so_often_are_refused() -> None:
    values = {"network.family": "progressive", "data.resolution": 128, "batch": 20}
    config = config_of({**values, "network.full_batch_side": 128})
    config.check_workers(2)
    with pytest.raises(ConfigError, match="2 workers times the 4 by which progressive divides it at 128"):
        config_of(values).check_workers(2)


def test_a_run_that_was_begun_before_batches_became_smaller_goes_on_with_whole_ones() -> None:
    saved = config_of({"network.family": "progressive", "data.resolution": 128}).to_dict()
    assert GanConfig.from_dict(saved).batches().last == 4
    del saved["network"]["full_batch_side"], saved["accumulate"]
    assert GanConfig.from_dict(saved).batches().phases[-1][1] == 16


def test_it_learns_a_picture() -> None:
    before, after = errors_on_a_ramp(GROWING)
    assert after < before / 2


@pytest.mark.parametrize("name", ["stable_images", "fade_images"])
def test_a_length_below_0_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} must lie between 0"):
        GanConfig().with_values({"network.family": "progressive", f"network.{name}": -1})
