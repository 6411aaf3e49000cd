"""A whole run: its numbers, its determinism, its end; two ranks against one."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from gan.data.images import Images
from gan.distributed import Ranks
from gan.generation import sample_on_device
from gan.metrics import config as metrics_config
from gan.training import seeding
from gan.training.run import Diverged, GanRun
from gan.training.step_stats import StepProgress
from tests.gan.ranks import on_two_ranks
from tests.gan.training.runs import CONFIG, TIMINGS, config_of, few_images, images_of, timeless


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_a_tick_reports_exactly_the_agreed_finite_floats() -> None:
    row = GanRun(CONFIG, few_images()).tick()
    assert set(row) == TIMINGS | {
        "images_seen",
        "step",
        "generator_loss",
        "discriminator_loss",
        "accuracy_real",
        "accuracy_fake",
        "discriminator_skipped",
        "generator_skipped",
        "generator_gradient",
        "discriminator_gradient",
        "discriminator_margin",
        "discriminator_overfit",
        "generator_lr",
        "discriminator_lr",
        "swd",
        "swd_noise",
        "checkerboard",
        "checkerboard_noise",
        "burnt",
        "burnt_noise",
    }
    assert all(type(value) is float and math.isfinite(value) for value in row.values())
    assert (row["images_seen"], row["step"]) == (64, 4)  # 60 images a tick are 4 whole batches of 16


def test_a_run_finishes_after_its_whole_ticks() -> None:
    run, ticks = GanRun(CONFIG, few_images()), 0
    while not run.is_finished:
        run.tick()
        ticks += 1
    assert ticks == CONFIG.total_ticks() == 4  # 200 images in ticks of 60
    assert run.images_seen == CONFIG.total_images() == 240


def test_a_tick_s_numbers_are_the_means_of_its_steps() -> None:
    seen: list[StepProgress] = []
    run = GanRun(config_of({"images_per_tick": 160}), few_images(), on_step=seen.append)
    row = run.tick()
    assert [progress.images_seen for progress in seen] == list(range(16, 161, 16))
    for name in ("discriminator_loss", "generator_loss", "accuracy_real", "accuracy_fake"):
        assert row[name] == pytest.approx(np.mean([getattr(progress, name) for progress in seen]), rel=1e-6)


def test_the_seed_decides_the_numbers_and_the_global_random_state_does_not() -> None:
    rows = []
    for seed, global_seed in ((1, 0), (1, 99), (2, 0)):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002 - the global state is what is tested
        rows.append(timeless(GanRun(config_of({"seed": seed}), few_images()).tick()))
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_skips_are_shares_of_the_tick_and_follow_the_policy() -> None:
    rests = config_of({"balance.policy": "accuracy", "balance.accuracy_threshold": 0.0})
    row = GanRun(rests, few_images()).tick()
    # the first step has nothing to rest on
    assert row["discriminator_skipped"] == 0.75
    assert row["generator_skipped"] == 0
    ratio = config_of({"balance.policy": "steps", "balance.discriminator_steps": 2})
    assert GanRun(ratio, few_images()).tick()["generator_skipped"] == 0.5


def test_in_a_tick_float32_is_exact_and_kernels_are_chosen_by_trying_them() -> None:
    seen = set[tuple[bool, str]]()

    def note(progress: StepProgress) -> None:
        seen.add((torch.backends.cudnn.benchmark, torch.backends.cudnn.conv.fp32_precision))

    GanRun(CONFIG, few_images(), on_step=note).tick()
    assert seen == {(True, "ieee")}
    assert not torch.backends.cudnn.benchmark and torch.backends.cudnn.allow_tf32


def test_rates_follow_their_schedule() -> None:
    config = config_of({"optimizer.schedule": "step", "optimizer.decay_at": 0.5, "optimizer.drop": 0.1})
    run = GanRun(config, few_images())
    rates = [run.tick()["generator_lr"] for _ in range(4)]
    assert rates == pytest.approx([2e-4, 2e-4, 2e-5, 2e-5])


@pytest.mark.parametrize("steps", [4, 100])
def test_a_loss_that_is_not_finite_ends_the_run_with_its_reason(steps: int) -> None:
    config = config_of({"images_per_tick": 16 * steps, "images": 16 * steps})
    run = GanRun(config, few_images())
    state = run.state_dict()
    state.tensors["discriminator.from_image.weight"][0] = torch.nan
    run.load_state_dict(state)
    with pytest.raises(Diverged, match="the discriminator's loss is nan by step") as caught:
        run.tick()
    assert "\n" not in caught.value.reason
    assert run.step <= 16  # long ticks are not trained to their end


def test_a_weight_that_is_not_finite_ends_the_run_even_where_the_losses_are() -> None:
    run = GanRun(CONFIG, few_images())
    state = run.state_dict()
    state.tensors["ema.first.weight"][0] = torch.inf
    run.load_state_dict(state)
    with pytest.raises(Diverged, match="a weight of the ema is not finite"):
        run.tick()


def test_a_batch_that_does_not_divide_over_the_ranks_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of the 3 workers"):
        GanRun(CONFIG, few_images(), world_size=3)


def test_training_brings_the_generator_closer_to_simple_data() -> None:
    pixels = (
        np.full((100, 16, 16, 1), 230, np.uint8) - np.arange(100, dtype=np.uint8)[:, None, None, None] % 20
    )
    images = images_of(pixels)
    values = {"images_per_tick": 1600, "images": 1600, "ema_half_life": 100, "optimizer.generator_lr": 2e-3}
    run = GanRun(config_of(values), images)
    before = run.sample_grid().mean()
    run.tick()
    assert abs(run.sample_grid().mean() - 222) < abs(before - 222) / 2


def _two_ticks(rank: int, values: dict[str, Any], world_size: int = 2) -> dict[str, Any]:
    run = GanRun(config_of(values), few_images(), rank=rank, world_size=world_size)
    rows = [run.tick(), run.tick()]
    return {"rows": rows, "tensors": run.state_dict().tensors}


def test_two_ranks_report_the_same_and_end_where_one_rank_does(tmp_path: Path) -> None:
    values = {"network.sync_batch_norm": True, "balance.policy": "loss", "balance.loss_threshold": 1.37}
    first, second = on_two_ranks(_two_ticks, values, folder=tmp_path)
    alone = _two_ticks(0, values, world_size=1)
    assert first["rows"] == second["rows"]
    for name, tensor in first["tensors"].items():
        assert torch.equal(tensor, second["tensors"][name]), name
    for row, expected in zip(first["rows"], alone["rows"], strict=True):
        assert timeless(row) == pytest.approx(timeless(expected), rel=2e-3)


def test_a_run_is_measured_again_on_other_latents_more_images_and_the_other_half_of_the_held_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert metrics_config.CONFIRMATION_IMAGES == 5000, "more than in a tick; here 300, which are faster"
    monkeypatch.setattr(metrics_config, "CONFIRMATION_IMAGES", 300)
    pixels = np.random.default_rng(1).integers(0, 256, (200, 16, 16, 3), dtype=np.uint8)
    images = Images(
        train=pixels[:100],
        held_out=pixels[100:],
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint="again",
    )
    config = config_of(
        {
            "evaluation.metric": "kid_compact",
            "evaluation.metric_images": 100,
            "evaluation.held_out_part": "search",
        }
    )
    run = GanRun(config, images)
    run.tick()
    (name, value, noise), (second_name, second, second_noise) = again = run.confirm()
    assert (name, second_name) == ("kid_compact_300", "fd_lite0_300")
    assert second > second_noise > 0
    other_half = dataclasses.replace(images, held_out=pixels[101::2], fingerprint="half")
    real = GanRun(
        config_of({"evaluation.metric": "kid_compact", "evaluation.metric_images": 300}), other_half
    )
    real.load_state_dict(run.state_dict())
    metric = real._measuring._metric
    latents = seeding.normal(0, "confirmation", 0, (300, CONFIG.network.latent_size))
    samples, _ = sample_on_device(run._players.ema, latents, None)
    row = metric.measure(samples, Ranks())
    assert (value, noise) == (row["kid_compact_300"], row["kid_compact_300_noise"])
    assert run.confirm() == again, "the same each time"
