"""Compiled passes: reused between runs, equal to the uncompiled, and never a reason to die."""

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.utils import counters

from common.memory import is_out_of_memory
from gan.config import GanConfig
from gan.training import compilation
from gan.training.balance import Turn
from gan.training.compilation import (
    Payoff,
    Variant,
    compiled_passes,
    count_steps,
    passes_for,
    pays,
    variant_of,
)
from gan.training.losses import LOSSES
from gan.training.passes import UNCOMPILED, Passes
from gan.training.players import build_players, players_tensors
from gan.training.step import step_settings, train_step

CPU = torch.device("cpu")
# of Dynamo, on 3.13.0 alone
pytestmark = pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0")


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
    tensors = _tensors_after(config, passes, steps)
    names = dict(build_players(config, channels=1, device=CPU).generator.named_parameters())
    return torch.cat([tensors[f"generator.{name}"].flatten() for name in names])


def _tensors_after(
    config: GanConfig, passes: Passes, steps: int = 3, *, rests: bool = False
) -> dict[str, torch.Tensor]:
    """All tensors of both players; with `rests` neither trains in the second step."""
    players = build_players(config, channels=1, device=CPU)
    settings = step_settings(config, device=CPU, world_size=1)
    randomness = torch.Generator().manual_seed(0)
    for step in range(steps):
        trains = not (rests and step == 1)
        real = (torch.rand(4, 1, 16, 16, generator=randomness) * 2 - 1).to(memory_format=torch.channels_last)
        latents = torch.randn(4, 8, generator=randomness)
        train_step(
            players,
            real,
            latents,
            None,
            settings,
            passes,
            who_trains=Turn(discriminator=trains, generator=trains),
        )
    return players_tensors(players)


class PlantedError(Exception):
    """An error that is not the compiler's."""


class Failing:
    """A backend that runs the graph as it is, and fails while it does as long as `error` is set."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.runs = 0

    def __call__(self, graph: Any, inputs: Any) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            self.runs += 1
            found = graph(*args)
            if self.error is not None:
                raise self.error
            return found

        return run


def _broken(graph: object, inputs: object) -> Any:
    raise RuntimeError("no luck\nwith details")


def test_a_second_run_with_other_settings_of_the_same_shapes_compiles_nothing() -> None:
    passes = compiled_passes("cpu", backend="aot_eager")
    _weights_after(_config(), passes)
    compiled = counters["stats"]["unique_graphs"]
    assert compiled >= 3
    other = {
        "optimizer.generator_lr": 1e-3,
        "balance.policy": "loss",
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


@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("loss", LOSSES.names)
def test_every_loss_is_compiled_as_a_whole_also_where_players_rest(loss: str, spectral_norm: bool) -> None:
    config = _config(**{"loss.name": loss, "network.spectral_norm": spectral_norm, "network.width": 6})
    backend = Failing()
    found = _tensors_after(config, compiled_passes("cpu", backend=backend), rests=True)
    assert backend.runs == 8  # three passes in two steps, two in the one in which both rest
    for name, expected in _tensors_after(config, UNCOMPILED, rests=True).items():
        torch.testing.assert_close(found[name], expected, rtol=1e-3, atol=1e-5, msg=name)


def test_a_lack_of_memory_is_raised_and_the_compiled_code_kept() -> None:
    backend = Failing()
    passes = compiled_passes("cpu", backend=backend)
    _tensors_after(_config(), passes, steps=1)
    backend.error = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(torch.OutOfMemoryError):
        _tensors_after(_config(), passes, steps=1)
    backend.error, before = None, backend.runs
    _tensors_after(_config(), passes, steps=1)
    assert backend.runs - before == 3


def test_a_lack_of_memory_while_compiling_is_raised_too() -> None:
    def short_of_memory(graph: object, inputs: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(Exception, match="out of memory") as caught:
        _tensors_after(_config(), compiled_passes("cpu", backend=short_of_memory), steps=1)
    assert is_out_of_memory(caught.value)


def test_an_error_of_the_running_code_is_raised_and_nothing_runs_twice() -> None:
    backend = Failing()
    passes = compiled_passes("cpu", backend=backend)
    backend.error = PlantedError()
    with pytest.raises(PlantedError):
        _tensors_after(_config(), passes, steps=1)
    assert backend.runs == 1


@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("broken_part", ["forward", "backward"])
def test_a_pass_that_cannot_be_compiled_has_moved_no_statistics(
    broken_part: str, spectral_norm: bool
) -> None:
    config = _config(**{"network.spectral_norm": spectral_norm})
    backend: Callable[..., Any] = lambda graph, inputs: _broken(graph, inputs)  # noqa: E731 - none has failed
    if broken_part == "backward":
        backend = aot_autograd(fw_compiler=lambda graph, inputs: graph.forward, bw_compiler=_broken)
    found = _tensors_after(config, compiled_passes("cpu", backend=backend))
    expected = _tensors_after(config, UNCOMPILED)
    differing = [name for name, tensor in expected.items() if not torch.equal(found[name], tensor)]
    assert differing == []


def test_a_pass_that_cannot_be_compiled_for_one_variant_is_compiled_for_another() -> None:
    backend = Failing()

    def picky(graph: Any, inputs: Any) -> Any:
        return _broken(graph, inputs) if picky.refuses else backend(graph, inputs)  # type: ignore[attr-defined]

    picky.refuses = True  # type: ignore[attr-defined]
    narrow, wide = _config(**{"network.width": 10}), _config(**{"network.width": 12})
    variants = [variant_of(config, device=CPU, world_size=1) for config in (narrow, wide)]
    _tensors_after(narrow, compiled_passes("cpu", picky, variants[0]), steps=1)
    picky.refuses = False  # type: ignore[attr-defined]
    _tensors_after(wide, compiled_passes("cpu", picky, variants[1]), steps=1)
    assert backend.runs == 3
    _tensors_after(narrow, compiled_passes("cpu", picky, variants[0]), steps=1)
    assert backend.runs == 3


def test_compiling_pays_from_the_steps_whose_savings_are_its_cost() -> None:
    assert Payoff(compile_s=60, saved_s=0.002).steps() == pytest.approx(30_000)
    assert Payoff(compile_s=60, saved_s=-0.002).steps() == math.inf


def test_auto_compiles_a_long_run_on_a_gpu_and_a_short_one_once_the_process_has_had_many_like_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(compilation._PAYOFFS, "cuda", Payoff(compile_s=50, saved_s=0.01))
    monkeypatch.setattr(compilation, "_steps_taken", type(compilation._steps_taken)())
    gpu = torch.device("cuda")
    asked: list[Variant] = []
    monkeypatch.setattr(
        compilation, "compiled_passes", lambda device_type, variant: asked.append(variant) or "compiled"
    )

    def passes_of(images: int, **options: Any) -> Any:
        return passes_for(_config(images=images, images_per_tick=400), device=gpu, world_size=1, **options)

    assert passes_of(4 * 4900) is UNCOMPILED
    assert passes_of(4 * 5000) == "compiled"
    assert passes_of(4 * 5000, steps_left=4999) is UNCOMPILED  # a resumed run, nearly at its end
    short, other = _config(images=4 * 1000, images_per_tick=400), _config(batch=8)
    for _ in range(4):
        assert passes_of(short.images) is UNCOMPILED
        count_steps(variant_of(short, device=gpu, world_size=1), 1000)
    assert passes_of(short.images) == "compiled"
    assert not pays(variant_of(other, device=gpu, world_size=1), 1000)
    assert not pays(variant_of(short, device=CPU, world_size=1), 10**9)
    assert len(set(asked)) == 1


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
