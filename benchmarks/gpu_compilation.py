"""Compiling on a GPU: what fails in the compiler, or for lack of memory, moves nothing."""

from typing import Any

import torch
from gpu_setting import Figures, Setting, check, distance, run_out_of_memory
from gpu_training import BATCH, config_of
from torch import Tensor

from gan.config import GanConfig
from gan.training import compilation
from gan.training.balance import Turn
from gan.training.passes import UNCOMPILED, Passes
from gan.training.players import build_players, players_tensors
from gan.training.step import step_settings, train_step


def _after_steps(setting: Setting, passes: Passes, config: GanConfig, steps: int = 3) -> dict[str, Tensor]:
    """All tensors after some steps."""
    players = build_players(config, channels=3, device=setting.device)
    settings = step_settings(config, device=setting.device, world_size=1)
    randomness = torch.Generator().manual_seed(0)
    side = config.data.resolution
    for _ in range(steps):
        real = torch.rand(BATCH, 3, side, side, generator=randomness) * 2 - 1
        latents = torch.randn(BATCH, config.network.latent_size, generator=randomness)
        train_step(
            players,
            real.to(setting.device, memory_format=torch.channels_last),
            latents.to(setting.device),
            None,
            settings,
            passes,
            who_trains=Turn(discriminator=True, generator=True),
        )
    return players_tensors(players)


def _same_state(setting: Setting, figures: Figures, passes: Passes) -> None:
    """Steps with these passes end where uncompiled ones do; BatchNorm has counted each pass once."""
    for spectral_norm in (False, True):
        config = config_of(**{"network.spectral_norm": spectral_norm})
        found = _after_steps(setting, passes, config)
        expected = _after_steps(setting, UNCOMPILED, config)
        counters = [name for name in expected if name.endswith("num_batches_tracked")]
        moved = [name for name in counters if not torch.equal(found[name], expected[name])]
        assert not moved, f"counted too often: {', '.join(moved)}"
        kind = "spectral" if spectral_norm else "batch_norm"
        states = {name: tensor for name, tensor in expected.items() if name.endswith((".u", "_mean", "_var"))}
        worst = max(distance(found[name], tensor) for name, tensor in states.items())
        check(figures, f"{kind}_state", worst, 0.01)


def compiler_error_moves_nothing(setting: Setting, figures: Figures) -> None:
    """Where the compiler fails, training goes on uncompiled as if it had never tried."""

    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("planted")

    _same_state(setting, figures, compilation.compiled_passes(setting.device.type, backend=broken))


def backward_is_compiled_first(setting: Setting, figures: Figures) -> None:
    """The same where only the backward pass cannot be compiled."""
    from torch._dynamo.backends.common import aot_autograd

    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("planted")

    backend = aot_autograd(fw_compiler=lambda graph, inputs: graph.forward, bw_compiler=broken)
    _same_state(setting, figures, compilation.compiled_passes(setting.device.type, backend=backend))


def out_of_memory_keeps_compiled_code(setting: Setting, figures: Figures) -> None:
    """A lack of memory is raised, and the compiled code is used again afterwards."""
    state = {"short": False, "runs": 0}

    def backend(graph: Any, inputs: Any) -> Any:
        def run(*args: Any) -> Any:
            state["runs"] += 1
            if state["short"]:
                run_out_of_memory(setting.device)
            return graph(*args)

        return run

    passes = compilation.compiled_passes(setting.device.type, backend=backend)
    _after_steps(setting, passes, config_of(), steps=1)
    state["short"] = True
    try:
        _after_steps(setting, passes, config_of(), steps=1)
    except torch.OutOfMemoryError:
        state["short"] = False
    assert not state["short"], "the lack of memory was not raised"
    before = state["runs"]
    _after_steps(setting, passes, config_of(), steps=1)
    figures["compiled_runs"] = state["runs"] - before
    assert state["runs"] - before == 3, "the compiled code was given up"
