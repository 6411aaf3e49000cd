"""Runs with regularizers: resumed, on two ranks, compiled, with every loss."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan import checkpoint
from gan.checkpoint import CheckpointError
from gan.training.compilation import compiled_passes
from gan.training.losses import LOSSES
from gan.training.passes import UNCOMPILED
from gan.training.run import GanRun
from tests.gan.ranks import on_two_ranks
from tests.gan.training.runs import ADAPTIVE, CONFIG, few_images, timeless

EVERYTHING = ADAPTIVE | {
    "regularization.augment": "translation,colour",
    "regularization.instance_noise": 0.2,
    "regularization.instance_noise_share": 0.7,
    "regularization.r1": 0.1,
    "regularization.r1_every": 3,
    "network.packing": 2,
    "network.minibatch_std": 2,
}
EACH: dict[str, dict[str, Any]] = {
    "margin": {"balance.policy": "margin", "balance.accuracy_margin": 0.02, "balance.accuracy_level": 0.5},
    "adaptive": ADAPTIVE,
    "augment": {"regularization.augment": "colour,translation,cutout"},
    "noise": {"regularization.instance_noise": 0.3},
    "r1": {"regularization.r1": 1.0, "regularization.r1_every": 2},
    "minibatch std": {"network.minibatch_std": 4},
    "packing": {"network.packing": 4},
    "everything": EVERYTHING,
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _run(values: dict[str, Any], **options: Any) -> GanRun:
    return GanRun(CONFIG.with_values(values), few_images(), **options)


@pytest.mark.parametrize("values", EACH.values(), ids=EACH)
def test_a_run_moved_as_bytes_after_every_tick_gives_the_numbers_of_one_that_stayed(
    values: dict[str, Any],
) -> None:
    stayed, moved = _run(values), _run(values)
    for _ in range(4):
        data = checkpoint.to_bytes(moved.state_dict())
        moved = _run(values)
        moved.load_state_dict(checkpoint.from_bytes(data))
        assert timeless(moved.tick()) == timeless(stayed.tick())
    one, two = stayed.state_dict(), moved.state_dict()
    assert one.meta == two.meta
    assert all(torch.equal(tensor, two.tensors[name]) for name, tensor in one.tensors.items())


@pytest.mark.parametrize("loss", LOSSES.names)
@pytest.mark.parametrize("values", EACH.values(), ids=EACH)
def test_every_loss_trains_in_half_precision_with_each_and_with_all(
    loss: str, values: dict[str, Any]
) -> None:
    run = _run(values | {"loss.name": loss, "precision": "bf16", "network.spectral_norm": loss == "hinge"})
    before = run.state_dict().tensors
    row = run.tick()
    after = run.state_dict().tensors
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert {"generator.first.weight", "discriminator.from_image.weight", "ema.first.weight"} <= moved
    assert all(np.isfinite(value) for value in row.values())
    assert ("augment_probability" in row) == ("augment" in str(values))


def _two_ticks(rank: int, values: dict[str, Any], world_size: int = 2) -> dict[str, Any]:
    run = _run(values, rank=rank, world_size=world_size)
    rows = [run.tick(), run.tick()]
    return {"rows": rows, "tensors": run.state_dict().tensors}


@pytest.mark.parametrize("values", EACH.values(), ids=EACH)
def test_two_ranks_report_the_same_and_end_where_one_rank_does(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    values = values | {"network.sync_batch_norm": True}
    first, second = on_two_ranks(_two_ticks, values, folder=tmp_path)
    alone = _two_ticks(0, values, world_size=1)
    assert first["rows"] == second["rows"]
    for name, tensor in first["tensors"].items():
        assert torch.equal(tensor, second["tensors"][name]), name
    for row, expected in zip(first["rows"], alone["rows"], strict=True):
        assert timeless(row) == pytest.approx(timeless(expected), rel=5e-3)


@pytest.mark.parametrize("values", [EACH["augment"], EACH["packing"], EVERYTHING], ids=lambda each: "")
def test_compiled_passes_train_like_uncompiled_ones(
    values: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """With everything, also where the noise has come to its end and where nothing is measured."""
    found = []
    for passes in (UNCOMPILED, compiled_passes("cpu", backend="aot_eager")):
        run = _run(values)
        run._passes = passes
        rows = [run.tick() for _ in range(3)]
        found.append(rows)
    assert not [message for message in caplog.messages if "continues uncompiled" in message]
    for row, expected in zip(found[1], found[0], strict=True):
        assert timeless(row) == pytest.approx(timeless(expected), rel=1e-3, abs=1e-6)


def test_a_probability_that_stays_0_trains_as_if_nothing_were_augmented() -> None:
    plain, adaptive = _run({}), _run(ADAPTIVE | {"balance.augment_target": 10.0})
    for _ in range(2):
        row = timeless(adaptive.tick())
        assert row.pop("augment_probability") == 0
        assert row == timeless(plain.tick())


def test_without_the_policy_images_are_always_augmented() -> None:
    assert _run({"regularization.augment": "cutout"}).tick()["augment_probability"] == 1


def test_the_policies_here_act() -> None:
    """In the runs above the probability moves and each player rests at times."""
    run = _run(ADAPTIVE)
    probabilities = [run.tick()["augment_probability"] for _ in range(4)]
    assert len(set(probabilities)) > 1 and any(0 < probability < 1 for probability in probabilities)
    run = _run(EACH["margin"])
    rows = [run.tick() for _ in range(4)]
    assert sum(row["discriminator_skipped"] for row in rows) > 0
    assert sum(row["generator_skipped"] for row in rows) > 0


def test_a_state_of_a_version_without_regularizers_is_continued_and_a_broken_one_refused() -> None:
    run = _run(EVERYTHING)
    run.tick()
    state = run.state_dict()
    meta = {name: value for name, value in state.meta.items() if name != "regularizing"}
    other = _run(EVERYTHING)
    other.load_state_dict(dataclasses.replace(state, meta=meta))
    assert other.tick()["step"] == 8
    broken = dataclasses.replace(state, meta=meta | {"regularizing": {"updates": 4, "augmentation": [1]}})
    with pytest.raises(CheckpointError, match="five numbers"):
        _run(EVERYTHING).load_state_dict(broken)
