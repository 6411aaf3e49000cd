"""Is R1's gradient of each family's discriminator right in bf16, with our convolutions and with PyTorch's?

    python benchmarks/gradient_penalty.py [FAMILY ...] [--sides 64 128 256] [--width 8] [--batch 8]

The penalty's gradient with respect to all weights in bf16 is compared with that in fp32: the norm of the
difference over the norm. Rounding alone gives some hundredths. Both take turns on one thread; times are the
processor's, and the ratio is the median over rounds. PyTorch's may end its process on some CPUs, so each
measurement has one of its own; see `gan/networks/twice_differentiable.py`.

Prints one JSON object at the end.
"""

import argparse
import contextlib
import itertools
import json
import multiprocessing
import signal
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from common.device import keep_freed_memory
from gan.config import GanConfig
from gan.networks.families import FAMILIES
from gan.networks.growth.state import growing_parts
from gan.networks.pyramid import pyramids
from gan.networks.twice_differentiable import TwiceDifferentiable
from gan.training.passes import autocast
from gan.training.players import build_players
from gan.training.regularization.r1 import gradient_at_real

Block = Callable[[], contextlib.AbstractContextManager[Any]]
FORMS: dict[str, Block] = {"ours": TwiceDifferentiable, "pytorch": contextlib.nullcontext}
CHANNELS = 3


def penalty_gradient(discriminator: torch.nn.Module, real: Tensor, dtype: torch.dtype | None) -> Tensor:
    """All weights' gradients in one row."""
    with autocast(real, dtype):
        value = gradient_at_real(discriminator, real)
    weights = list(discriminator.parameters())
    found = torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)
    return torch.cat([each.flatten() for each in found])


def measured(
    queue: "multiprocessing.Queue[dict[str, float]]", config: GanConfig, rounds: int, forms: list[str]
) -> None:
    """Put errors, and where both forms are measured how much faster ours is, into the queue."""
    torch.set_num_threads(1)
    keep_freed_memory()
    players = build_players(config, channels=CHANNELS, device=torch.device("cpu"))
    for part in growing_parts(players.discriminator):
        part.grow_fully()
    side = config.data.resolution
    real = torch.rand(config.batch, CHANNELS, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    scales = getattr(players.discriminator, "scales", 1)
    if scales > 1:  # it judges all of them at once
        real = pyramids(real, scales)
    real = real.to(memory_format=torch.channels_last)
    right = penalty_gradient(players.discriminator, real, None)
    figures, taken = {}, {name: list[float]() for name in forms}
    for name in forms * rounds:
        begun = time.process_time()
        with FORMS[name]():
            found = penalty_gradient(players.discriminator, real, torch.bfloat16)
        taken[name].append(time.process_time() - begun)
        figures[f"{name}_error"] = round(float((found - right).norm() / right.norm()), 4)
    if len(forms) > 1:
        ratios = [other / own for own, other in zip(*taken.values(), strict=True)]
        figures["times_as_fast"] = round(statistics.median(ratios), 2)
    queue.put(figures)


def in_a_process(config: GanConfig, rounds: int) -> dict[str, Any]:
    """Both forms' figures; ours alone where PyTorch's ends the process, with the name of the signal."""
    context = multiprocessing.get_context("spawn")
    ended: dict[str, Any] = {}
    for forms in (list(FORMS), ["ours"]):
        queue: multiprocessing.Queue[dict[str, float]] = context.Queue()
        process = context.Process(target=measured, args=(queue, config, rounds, forms))
        process.start()
        process.join()
        if process.exitcode == 0:
            return queue.get() | ended
        if process.exitcode is None or process.exitcode > 0:
            break
        ended = {"pytorch_ends_with": signal.Signals(-process.exitcode).name}
    raise SystemExit("measuring failed")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("families", nargs="*", metavar="FAMILY", default=list(FAMILIES))
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    command = parser.parse_intermixed_args()
    table: dict[str, dict[int, dict[str, Any]]] = {}
    for family, side in itertools.product(command.families, command.sides):
        size = {"data.resolution": side, "network.width": command.width, "batch": command.batch}
        config = GanConfig().with_values({"network.family": family, "regularization.r1": 1.0, **size})
        found = in_a_process(config, command.rounds)
        table.setdefault(family, {})[side] = found
        print(f"{family:12} {side}", *(f"{name}={value}" for name, value in found.items()), flush=True)
    print(json.dumps({"width": command.width, "batch": command.batch, "families": table}))


if __name__ == "__main__":
    main()
