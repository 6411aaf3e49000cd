"""Order of images and random numbers: pure functions of seed and step, cut alike for any number of ranks."""

import numpy as np
import pytest
import torch

from gan.distributed import Ranks
from gan.training.seeding import (
    derived_seed,
    image_indices,
    images_on_device,
    normal,
    to_pixels,
    uniform,
)

CPU = torch.device("cpu")


def test_every_image_is_shown_once_an_epoch_in_another_order_each() -> None:
    shown = np.concatenate([image_indices(3, 4 * step, batch=4, num_images=10) for step in range(5)])
    epochs = shown.reshape(2, 10)
    assert [sorted(epoch) for epoch in epochs.tolist()] == [list(range(10))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()


def test_a_batch_may_be_larger_than_the_data_set() -> None:
    indices = image_indices(0, 7, batch=7, num_images=3)
    assert len(indices) == 7
    assert set(indices[2:5].tolist()) == {0, 1, 2}  # positions 9 to 11 are the fourth epoch


def test_numbers_depend_on_seed_purpose_and_step_alone() -> None:
    keys = [(0, "latents", 0), (1, "latents", 0), (0, "penalty", 0), (0, "latents", 1)]
    drawn = [normal(seed, purpose, step, (4,)) for seed, purpose, step in keys]  # type: ignore[arg-type]
    torch.rand(1)
    again = [normal(seed, purpose, step, (4,)) for seed, purpose, step in keys]  # type: ignore[arg-type]
    assert all(map(torch.equal, drawn, again))
    assert len({tuple(numbers.tolist()) for numbers in drawn}) == len(keys)
    assert 0 <= derived_seed(2**62, "order", 10**9) < 2**63


def test_normal_and_uniform_numbers_have_their_moments() -> None:
    count = 40_000
    numbers, shares = normal(0, "latents", 0, (count,)), uniform(0, "penalty", 0, (count,))
    assert numbers.mean().item() == pytest.approx(0, abs=5 / count**0.5)
    assert numbers.var().item() == pytest.approx(1, abs=5 * (2 / count) ** 0.5)
    assert shares.mean().item() == pytest.approx(0.5, abs=5 * (1 / 12 / count) ** 0.5)
    assert 0 <= shares.min() < shares.max() < 1


@pytest.mark.parametrize("total", [8, 13])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_shares_cover_everything_once_and_differ_by_at_most_one(total: int, world_size: int) -> None:
    parts = [list(range(total))[Ranks(rank, world_size).share(total)] for rank in range(world_size)]
    assert [index for part in parts for index in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_pixels_go_to_the_device_as_channels_last_and_come_back_unchanged() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 4, 8, 2).repeat(1, axis=0)
    images = images_on_device(pixels, CPU)
    assert images.shape == (4, 2, 4, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert (images.min(), images.max()) == (-1, 1)
    np.testing.assert_array_equal(to_pixels(images).numpy(), pixels)
