"""What it saves that residual blocks join resizing with their convolutions, in a training step of `resnet`.

    python benchmarks/residual_blocks.py

Side 32, width 32, batch 64, colour; one thread. `joined_over_plain` is the processor time of a step over that
of the same step with resizing and convolving apart, 1x1 convolutions on the larger side, as the paper draws
it: medians of steps in turns. Takes half a minute; prints one JSON object at the end.
"""

import contextlib
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from train_step import our_step

from common.device import has_fast_bf16
from gan.config import GanConfig
from gan.networks.families.resnet.blocks import DownBlock, UpBlock
from gan.networks.normalization import spectrally_normalized
from gan.networks.resized_convolution import NearestConv2d, PooledConv2d, SpectralPooledConv2d
from gan.training.passes import UNCOMPILED

TURNS = 11
CPU = torch.device("cpu")


def main() -> None:
    """Measure and print the JSON object."""
    torch.set_num_threads(1)
    precisions = ["fp32", "bf16"] if has_fast_bf16(CPU) else ["fp32"]
    figures = {}
    for precision, spectral in itertools.product(precisions, (False, True)):
        base = {"network.family": "resnet", "network.width": 32, "batch": 64, "precision": precision}
        step = our_step(GanConfig().with_values(base | {"network.spectral_norm": spectral}), CPU, UNCOMPILED)
        name = f"{precision}{'_spectral' if spectral else ''}"
        figures[name] = measured(step)
        print(name, figures[name], flush=True)
    print(json.dumps({"joined_over_plain": {name: each["ratio"] for name, each in figures.items()}}))


def measured(step: Callable[[], None]) -> dict[str, float]:
    """Median milliseconds of both kinds of step, and their ratio."""
    taken: dict[str, list[float]] = {"joined": [], "plain": []}
    for turn in range(TURNS):
        for kind, blocks in (("joined", contextlib.nullcontext()), ("plain", plain_blocks())):
            with blocks:
                began = time.process_time()
                step()
                if turn > 0:  # the first makes what later ones reuse
                    taken[kind].append(1000 * (time.process_time() - began))
    joined, plain = (statistics.median(times) for times in taken.values())
    return {"joined_ms": round(joined), "plain_ms": round(plain), "ratio": round(joined / plain, 2)}


@contextlib.contextmanager
def plain_blocks() -> Iterator[None]:
    """All blocks resize and convolve in two steps."""
    with contextlib.ExitStack() as stack:
        for block, forward in (
            (NearestConv2d, _resize_then_convolve),
            (PooledConv2d, _convolve_then_average),
            (SpectralPooledConv2d, _convolve_spectrally_then_average),
            (UpBlock, _up),
            (DownBlock, _down),
        ):
            stack.enter_context(mock.patch.object(block, "forward", forward))
        yield


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="nearest")


def _resize_then_convolve(layer: NearestConv2d, features: Tensor) -> Tensor:
    return F.conv2d(_doubled(features), layer.weight.flip(2, 3).transpose(0, 1), padding=1)


def _convolve_then_average(layer: PooledConv2d, features: Tensor) -> Tensor:
    return F.avg_pool2d(F.conv2d(features, layer.weight, layer.bias, padding=1), 2)


def _convolve_spectrally_then_average(layer: SpectralPooledConv2d, features: Tensor) -> Tensor:
    weight = spectrally_normalized(layer.weight, layer.u, layer.training)
    return F.avg_pool2d(F.conv2d(features, weight, layer.bias, padding=1), 2)


def _up(block: UpBlock, features: Tensor) -> Tensor:
    x = block.first(F.relu_(block.first_norm(features)))
    x = block.second(F.relu_(block.second_norm(x)))
    shortcut: Tensor = block.shortcut(_doubled(features))
    return x + shortcut


def _down(block: DownBlock, features: Tensor) -> Tensor:
    x: Tensor = block.second(block.between(block.first(block.before(features))))
    return x + F.avg_pool2d(block.shortcut(features), 2)


if __name__ == "__main__":
    main()
