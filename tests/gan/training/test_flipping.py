"""Images that are mirrored half of the time: how often, on two ranks, after a resume."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan.training import seeding
from gan.training.run import GanRun
from tests.gan.ranks import on_two_ranks
from tests.gan.training.runs import ADAPTIVE, assert_same_state, config_of, few_images, timeless

FLIP = {"data.flip": True}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _shown(step: int, mine: slice = slice(None), *, seed: int = 0, flip: bool = True) -> np.ndarray:
    train = few_images().train
    return seeding.real_pixels(train, seed, step, first=32 * step, batch=32, mine=mine, flip=flip)


def test_each_image_is_mirrored_every_second_time_on_average_independently_of_the_others() -> None:
    coins = []
    for step in range(200):
        plain, shown = _shown(step, flip=False), _shown(step)
        is_mirrored = (shown != plain).any(axis=(1, 2, 3))
        np.testing.assert_array_equal(shown[is_mirrored], plain[is_mirrored][:, :, ::-1])
        coins.append(is_mirrored)
    table = np.array(coins)
    assert abs(table.mean() - 0.5) < 4 * 0.5 / np.sqrt(table.size)
    # 32 fair coins: the variance of their sum is 8; of 200 such sums it is known to a tenth
    assert 5 < table.sum(axis=1).var() < 11
    assert not np.array_equal(table[0], table[1])
    assert any((_shown(0, seed=1) != _shown(0, seed=1, flip=False)).any(axis=(1, 2, 3)) != table[0])


def test_the_shares_of_two_ranks_are_the_batch_of_one() -> None:
    for step in range(5):
        both = np.concatenate([_shown(step, slice(0, 16)), _shown(step, slice(16, 32))])
        np.testing.assert_array_equal(both, _shown(step))


def test_a_run_that_mirrors_every_image_is_one_on_mirrored_images(monkeypatch: pytest.MonkeyPatch) -> None:
    images = few_images()
    turned = dataclasses.replace(images, train=images.train[:, :, ::-1], fingerprint="turned")
    reference = GanRun(config_of({}), turned)
    plain = seeding.uniform

    def always(seed: int, purpose: seeding.Purpose, *rest: Any) -> torch.Tensor:
        return plain(seed, purpose, *rest) * (purpose != "flip")

    monkeypatch.setattr(seeding, "uniform", always)
    flipped = GanRun(config_of(FLIP), images)
    for _ in range(2):
        first, second = flipped.tick(), reference.tick()
        assert first["discriminator_loss"] == second["discriminator_loss"]
    assert_same_state(flipped, reference)


@pytest.mark.parametrize("more", [{}, ADAPTIVE])
def test_a_resumed_run_goes_on_as_one_that_stayed(more: dict[str, Any]) -> None:
    config, images = config_of(FLIP | more), few_images()
    stayed, moved = GanRun(config, images), GanRun(config, images)
    moved.load_state_dict((stayed.tick(), stayed.state_dict())[1])
    assert timeless(moved.tick()) == timeless(stayed.tick())
    assert_same_state(moved, stayed)
    unflipped = GanRun(config_of(more), images)
    assert unflipped.tick()["discriminator_loss"] != GanRun(config, images).tick()["discriminator_loss"]


# layer normalization, since a batch normalization sees its rank's share alone
_VALUES = FLIP | {"loss.name": "wasserstein", "network.sync_batch_norm": True}


def _two_ticks(rank: int, world_size: int = 2) -> dict[str, Any]:
    run = GanRun(config_of(_VALUES), few_images(), rank=rank, world_size=world_size)
    rows = [run.tick(), run.tick()]
    return {"rows": rows, "tensors": run.state_dict().tensors}


def test_two_ranks_train_as_one(tmp_path: Path) -> None:
    one = _two_ticks(0, world_size=1)
    for two in on_two_ranks(_two_ticks, folder=tmp_path):
        for name in ("discriminator_loss", "generator_loss", "swd"):
            for row, expected in zip(two["rows"], one["rows"], strict=True):
                assert row[name] == pytest.approx(expected[name], rel=2e-3), name
        for name, tensor in one["tensors"].items():
            if tensor.is_floating_point():
                torch.testing.assert_close(two["tensors"][name], tensor, rtol=2e-2, atol=2e-3)
