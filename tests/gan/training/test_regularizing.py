"""Runs with regularizers: resumed, on two ranks, compiled, with every loss; and no work where all are off."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan import checkpoint
from gan.checkpoint import CheckpointError
from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.training import regularizing
from gan.training.balance import Turn
from gan.training.compilation import compiled_passes
from gan.training.losses import LOSSES
from gan.training.players import Players, build_players
from gan.training.regularizing import Regularizing
from gan.training.run import GanRun
from gan.training.step import UNCOMPILED, step_settings, train_step
from gan.training.view import PLAIN
from tests.gan.ranks import on_two_ranks

CPU = torch.device("cpu")
CONFIG = GanConfig(
    data=DataConfig(resolution=16),
    network=NetworkConfig(width=4, latent_size=8),
    evaluation=EvaluationConfig(metric="swd", metric_images=32),
    batch=16,
    images=240,
    images_per_tick=60,
    precision="fp32",
    compile="off",
)
TIMINGS = {"train_s", "evaluate_s", "images_per_s"}
ADAPTIVE = {
    "balance.policy": "adaptive",
    "balance.augment_every": 2,
    "balance.augment_target": -0.2,
    "balance.augment_speed": 4.0,
}
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


def _images() -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 16, 16, 3), dtype=np.uint8)
    return Images(
        train=pixels[:60],
        held_out=pixels[60:],
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint="regularizing",
    )


def _run(values: dict[str, Any], **options: Any) -> GanRun:
    return GanRun(CONFIG.with_values(values), _images(), **options)


def _timeless(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in TIMINGS}


@pytest.mark.parametrize("values", EACH.values(), ids=EACH)
def test_a_run_moved_as_bytes_after_every_tick_gives_the_numbers_of_one_that_stayed(
    values: dict[str, Any],
) -> None:
    stayed, moved = _run(values), _run(values)
    for _ in range(4):
        data = checkpoint.to_bytes(moved.state_dict())
        moved = _run(values)
        moved.load_state_dict(checkpoint.from_bytes(data))
        assert _timeless(moved.tick()) == _timeless(stayed.tick())
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
        assert _timeless(row) == pytest.approx(_timeless(expected), rel=5e-3)


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
        assert _timeless(row) == pytest.approx(_timeless(expected), rel=1e-3, abs=1e-6)


def test_where_all_are_off_a_step_is_asked_for_nothing() -> None:
    off = Regularizing(CONFIG, _images(), ranks=Ranks(), device=CPU)
    assert all(off.for_step(step, progress=step / 10) is PLAIN for step in range(10))
    assert off.row() == {}


def test_the_discriminator_that_rests_does_not_miss_the_penalty_for_ever() -> None:
    config = CONFIG.with_values({"regularization.r1": 1.0, "regularization.r1_every": 4})
    regular = Regularizing(config, _images(), ranks=Ranks(), device=CPU)
    due = []
    for step in range(32):  # it trains in every fourth step, which a fixed calendar might always miss
        trains = step % 4 == 3
        if trains and regular.for_step(step, progress=0).penalties:
            due.append(step)
        regular.count(discriminator_trained=trains)
    assert due == [3, 19]


def _players(config: GanConfig) -> Players:
    return build_players(config, channels=3, device=CPU)


def _one_step(
    config: GanConfig, real: Tensor, latents: Tensor, *, shares: Tensor | None = None
) -> tuple[Tensor, nn.Module, nn.Module]:
    """A step's numbers and both networks before it, by a seed."""
    players = _players(config)
    before = _players(config)
    regular = Regularizing(config, _images(), ranks=Ranks(), device=CPU)
    numbers, _ = train_step(
        players,
        real,
        latents,
        shares,
        step_settings(config, device=CPU, world_size=1),
        UNCOMPILED,
        who_trains=Turn(discriminator=True, generator=True),
        regularization=regular.for_step(0, progress=0),
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
    regular = Regularizing(config, _images(), ranks=Ranks(), device=CPU)
    train_step(
        players,
        real,
        latents,
        None,
        step_settings(config, device=CPU, world_size=1),
        UNCOMPILED,
        who_trains=Turn(discriminator=True, generator=True),
        regularization=regular.for_step(0, progress=0),
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
    allowed = {image.tobytes() for image in _images().held_out[0::2]}
    found = {np.ascontiguousarray(image).tobytes() for image in pixels}
    # never the other half, against which a sweep's winner is measured again
    assert len(found) == 16 and found <= allowed


def test_a_probability_that_stays_0_trains_as_if_nothing_were_augmented() -> None:
    plain, adaptive = _run({}), _run(ADAPTIVE | {"balance.augment_target": 10.0})
    for _ in range(2):
        row = _timeless(adaptive.tick())
        assert row.pop("augment_probability") == 0
        assert row == _timeless(plain.tick())


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
