"""The `describe` command: both networks layer by layer, and the memory that training takes."""

import contextlib
import dataclasses
import json
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from common.cli.progress import say
from common.device import autocast_dtype
from common.errors import ConfigError
from gan import checkpoint
from gan.cli.flags import Describe
from gan.config import GanConfig
from gan.costs.layers import Layers, layers_of_both
from gan.costs.memory import ALLOWANCE, PROCESS_BYTES, StepMemory, estimate_memory
from gan.generator_file import find_generator
from gan.networks import describe
from gan.training.regularizing import critic_norm

_WIDTH_OF_A_FILE = 160
_NAMES = {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
_PARTS = {
    "weights": "weights of both networks",
    "averaged_generator": "averaged generator",
    "gradients": "gradients of the larger network",
    "optimizer": "both moments of both Adams",
    "activations": "images, activations and all else of a step",
}


def run_describe(command: Describe, console: Console) -> int:
    """Print both networks and the memory; returns the exit code, 0.

    Raises: ConfigError when the batch does not divide over the workers, or the family does not support the
    resolution.
    """
    config, workers = command.gan, command.workers
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE  # rich takes 80 columns, and cuts numbers off
    known = _channels(command)
    channels = known or 3
    dtype = autocast_dtype(config.precision, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    with console.status("counting"):
        memory = estimate_memory(config, channels=channels, workers=workers, dtype=dtype)
        generator, discriminator = layers_of_both(config, channels=channels)
    both = {"generator": generator, "discriminator": discriminator}
    share, precision = config.batches().last // workers, _NAMES[dtype]
    if command.json:
        step = {"batch_of_a_worker": share, "precision": precision, "channels": channels}
        print(json.dumps(_values(both) | step | {"memory": _bytes_of(memory)}))
        return 0
    norm, side = critic_norm(config), config.data.resolution
    say(console, describe(config.network, resolution=side, channels=channels, norm=norm))
    for player, layers in both.items():
        console.print(_table(player, layers, _unit(config, player)))
    parts = f" in {config.accumulate} parts" if config.accumulate > 1 else ""
    where = " on each worker" if workers > 1 else ""
    _say_memory(memory, console, f"a batch of {share}{parts}{where}, {precision}")
    if known is None:
        say(console, "for pictures in colour; if all are grey, add --colour grey")
    return 0


def _channels(command: Describe) -> int | None:
    """1 or 3: what --colour says, else what the run was trained with; None where neither is known."""
    colour = command.gan.data.colour
    if colour != "auto":
        return 1 if colour == "grey" else 3
    if command.directory is not None:
        with contextlib.suppress(ConfigError):  # a run without a finished tick
            folder, name = find_generator(command.directory)
            return checkpoint.generator_from_bytes(folder.read(name) or b"").channels
    return None


def _values(both: dict[str, Layers]) -> dict[str, Any]:
    return {player: dataclasses.asdict(layers) | {"flops": layers.flops} for player, layers in both.items()}


def _bytes_of(memory: StepMemory) -> dict[str, int]:
    return dataclasses.asdict(memory) | {"total": memory.total}


def _unit(config: GanConfig, player: str) -> str:
    packing = config.network.packing
    return f"a pack of {packing} images" if player == "discriminator" and packing > 1 else "an image"


def _table(player: str, layers: Layers, unit: str) -> Table:
    table = Table(title=f"{player}, for {unit}", title_justify="left", box=None, header_style="bold")
    for name in ("layer", "kind", "output"):
        table.add_column(name, no_wrap=True)
    for name in ("parameters", "multiply-accumulates"):
        table.add_column(name, justify="right", no_wrap=True)
    for layer in layers.layers:
        shape = " x ".join(map(str, layer.shape)) or "1"
        table.add_row(layer.name, layer.kind, shape, _number(layer.parameters), _number(layer.macs))
    table.add_row("all", "", "", _number(layers.parameters), _number(layers.macs), style="bold")
    table.caption = f"{layers.flops:,} FLOPs forward, twice the multiply-accumulates"
    table.caption_justify = "left"
    return table


def _number(value: int) -> str:
    return f"{value:,}" if value else ""


def _say_memory(memory: StepMemory, console: Console, step: str) -> None:
    table = Table(
        title=f"memory of a step's tensors: {step}", title_justify="left", box=None, header_style="bold"
    )
    table.add_column("part", no_wrap=True)
    table.add_column("MiB", justify="right", no_wrap=True)
    for part, size in dataclasses.asdict(memory).items():
        table.add_row(_PARTS[part], f"{size / 2**20:,.1f}")
    table.add_row("all, at the fullest moment", f"{memory.total / 2**20:,.1f}", style="bold")
    console.print(table)
    say(
        console,
        f"an estimate: on a CPU allow {ALLOWANCE:g} times as much, and {PROCESS_BYTES / 2**20:.0f} MiB for "
        "PyTorch itself",
    )
