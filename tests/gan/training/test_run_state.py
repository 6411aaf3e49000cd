"""The state of a run: moved after every tick, continued with other settings or ranks, or refused."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan import checkpoint
from gan.checkpoint import CheckpointError
from gan.training.run import GanRun
from tests.gan.ranks import on_two_ranks
from tests.gan.training.runs import CONFIG, assert_same_state, config_of, few_images, timeless


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


POLICIES: list[dict[str, Any]] = [
    {},
    {"balance.policy": "accuracy", "balance.accuracy_threshold": 0.6, "optimizer.schedule": "cosine"},
    {"balance.policy": "loss", "balance.loss_threshold": 1.36, "optimizer.discriminator_lr": 2e-3},
    {"balance.policy": "steps", "balance.discriminator_steps": 3, "loss.name": "wasserstein"},
    {
        "optimizer.schedule": "plateau",
        "optimizer.patience": 1,
        "network.spectral_norm": True,
        "loss.name": "hinge",
    },
    {"precision": "bf16", "loss.name": "least-squares", "loss.label_smoothing": 0.1},
]


@pytest.mark.parametrize("values", POLICIES)
def test_a_run_moved_as_bytes_after_every_tick_gives_the_numbers_of_one_that_stayed(
    values: dict[str, Any],
) -> None:
    config, images = config_of(values), few_images()
    stayed, moved = GanRun(config, images), GanRun(config, images)
    for _ in range(4):
        data = checkpoint.to_bytes(moved.state_dict())
        # whoever else trains in the new place in between must not matter
        GanRun(config_of({"batch": 8, "seed": 4, "loss.name": "hinge"}), images).tick()
        moved = GanRun(config, images)
        moved.load_state_dict(checkpoint.from_bytes(data))
        assert timeless(moved.tick()) == timeless(stayed.tick())
    assert_same_state(moved, stayed)
    np.testing.assert_array_equal(moved.sample_grid(), stayed.sample_grid())


def test_a_state_loaded_under_other_learning_rates_keeps_the_new_rates() -> None:
    run = GanRun(CONFIG, few_images())
    run.tick()
    other = GanRun(config_of({"optimizer.generator_lr": 1e-3, "optimizer.beta1": 0.3}), few_images())
    other.load_state_dict(run.state_dict())
    assert other.tick()["generator_lr"] == 1e-3
    assert other.step == 8


def test_a_state_of_another_width_or_of_no_run_is_refused_in_one_line() -> None:
    state = GanRun(CONFIG, few_images()).state_dict()
    wider = GanRun(config_of({"network.width": 8}), few_images())
    with pytest.raises(CheckpointError, match=r"^generator\.first\.weight must have shape .*$"):
        wider.load_state_dict(state)
    with pytest.raises(CheckpointError, match="metadata must hold step"):
        GanRun(CONFIG, few_images()).load_state_dict(dataclasses.replace(state, meta={}))


def test_a_state_saved_under_the_earlier_name_of_plateau_is_continued() -> None:
    config = config_of({"optimizer.schedule": "plateau", "optimizer.patience": 1})
    run = GanRun(config, few_images())
    for _ in range(3):
        run.tick()
    state = run.state_dict()
    meta = {"stall" if key == "plateau" else key: value for key, value in state.meta.items()}
    other = GanRun(config, few_images())
    other.load_state_dict(dataclasses.replace(state, meta=meta))
    assert timeless(other.tick()) == timeless(run.tick())
    assert_same_state(other, run)


def test_a_state_is_a_copy_that_further_training_does_not_change() -> None:
    run = GanRun(CONFIG, few_images())
    state = run.state_dict()
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    run.tick()
    assert all(torch.equal(before[name], tensor) for name, tensor in state.tensors.items())


def _two_ticks(rank: int, values: dict[str, Any], world_size: int = 2) -> dict[str, Any]:
    run = GanRun(config_of(values), few_images(), rank=rank, world_size=world_size)
    rows = [run.tick(), run.tick()]
    return {"rows": rows, "tensors": run.state_dict().tensors}


def test_a_state_moves_from_two_ranks_to_one(tmp_path: Path) -> None:
    first, _ = on_two_ranks(_two_ticks, {}, folder=tmp_path)
    run = GanRun(CONFIG, few_images())
    own = run.state_dict()
    run.load_state_dict(dataclasses.replace(own, tensors=first["tensors"], meta=own.meta | {"step": 8}))
    assert run.tick()["step"] == 12
