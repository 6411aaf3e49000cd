"""Compiled passes: reused between runs, equal to the uncompiled, and never a reason to die."""

import logging
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from gan.config import GanConfig
from gan.training import compilation
from gan.training.compilation import compiled_passes, passes_for
from gan.training.players import build_players
from gan.training.step import UNCOMPILED, Passes, step_settings, train_step

CPU = torch.device("cpu")


def _config(**values: Any) -> GanConfig:
    small = {
        "network.width": 4,
        "network.latent_size": 8,
        "data.resolution": 16,
        "batch": 4,
        "precision": "fp32",
    }
    return GanConfig().with_values(small | values)


def _weights_after(config: GanConfig, passes: Passes, steps: int = 3) -> torch.Tensor:
    players = build_players(config, channels=1, device=CPU)
    settings = step_settings(config, device=CPU, world_size=1)
    randomness = torch.Generator().manual_seed(0)
    for _ in range(steps):
        real = (torch.rand(4, 1, 16, 16, generator=randomness) * 2 - 1).to(memory_format=torch.channels_last)
        latents = torch.randn(4, 8, generator=randomness)
        train_step(
            players,
            real,
            latents,
            None,
            settings,
            passes,
            generator_trains=True,
            discriminator_trains=lambda: True,
        )
    return torch.cat([p.detach().flatten() for p in players.generator.parameters()])


def test_a_second_run_with_other_settings_of_the_same_shapes_compiles_nothing() -> None:
    passes = compiled_passes("cpu", backend="aot_eager")
    _weights_after(_config(), passes)
    compiled = counters["stats"]["unique_graphs"]
    assert compiled >= 3
    other = {
        "optimizer.generator_lr": 1e-3,
        "balance.loss_threshold": 0.1,
        "seed": 7,
        "loss.label_smoothing": 0.2,
    }
    _weights_after(_config(**other), passes)
    assert counters["stats"]["unique_graphs"] == compiled


def test_compiled_passes_train_like_uncompiled_ones() -> None:
    expected = _weights_after(_config(), UNCOMPILED)
    found = _weights_after(_config(), compiled_passes("cpu", backend="aot_eager"))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_a_failing_compiler_is_logged_in_one_line_and_training_continues(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(graph: object, inputs: object) -> object:
        raise RuntimeError("no luck\nwith details")

    with caplog.at_level(logging.WARNING):
        found = _weights_after(_config(), compiled_passes("cpu", backend=broken))
    torch.testing.assert_close(found, _weights_after(_config(), UNCOMPILED))
    assert len(caplog.messages) == 3  # one for each pass
    assert all("\n" not in message and "continues uncompiled" in message for message in caplog.messages)


def test_without_a_compiler_training_continues_uncompiled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compilation, "_compiler_problem", lambda: "no C++ compiler")
    compiled_passes.cache_clear()
    passes = passes_for(_config(compile="on"), device=CPU, world_size=1)
    compiled_passes.cache_clear()
    assert passes is UNCOMPILED
    assert caplog.messages == ["training continues uncompiled: no C++ compiler"]


def test_on_a_cpu_auto_and_off_stay_uncompiled_and_so_does_a_batch_norm_that_reduces() -> None:
    for values in (
        {"compile": "off"},
        {"compile": "auto"},
        {"compile": "on", "network.sync_batch_norm": True},
    ):
        assert passes_for(_config(**values), device=CPU, world_size=2) is UNCOMPILED
