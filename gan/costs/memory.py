"""How much memory the tensors of a training run take, by settings alone."""

import copy
import dataclasses
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from gan.config import GanConfig
from gan.costs.allocations import LiveBytes
from gan.costs.weightless import faked, networks_on_meta, without_numbers
from gan.data.images import Images
from gan.distributed import Ranks
from gan.generation import images_at_once, sample_on_device
from gan.networks import numbers_per_image
from gan.training.balance import Turn
from gan.training.passes import UNCOMPILED
from gan.training.players import Players, with_optimizers
from gan.training.regularizing import Regularizing
from gan.training.step import step_settings, train_step

ALLOWANCE = 2.0
"""Times the estimate that a process on a CPU may take for it; the most that was measured is 1.79."""
PROCESS_BYTES = 700 * 2**20
"""What a process with PyTorch and this project takes by itself on a CPU, measured without Ray."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Bytes of a worker's tensors at the fullest moment of training."""

    weights: int
    """Both networks with their buffers."""
    averaged_generator: int
    gradients: int
    """Those of the larger network: one's are dropped before the other's are computed."""
    optimizer: int
    """The two moments that each Adam keeps of every parameter."""
    activations: int
    """All else that is alive at the fullest moment: images, activations that a backward pass needs, copies of
    weights in bf16, random numbers."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.averaged_generator + self.gradients + self.optimizer + self.activations


def estimate_memory(
    config: GanConfig, *, channels: int, workers: int = 1, dtype: torch.dtype | None = None
) -> StepMemory:
    """What training takes on each worker, from two steps on tensors without numbers.

    channels: of an image, 1 or 3. workers: that share the batch. dtype: that convolutions compute in, None
    for fp32, as `common.device.autocast_dtype` gives it. The same arguments give the same bytes; nothing is
    allocated, and no device is touched. Takes about a second.

    The step is the real one, so that each loss, penalty, regularizer and network family counts by itself; it
    is run as if both players trained and every regularizer was on. Generating the samples that a tick
    measures is counted where it takes more, as with small batches. Departures from a run:

    - Networks that grow are counted as they are in the end, with the batch of then.
    - Compiled passes (`--compile`) are not followed; what they keep was not measured.
    - Not counted are the metric's network and its features, the page cache that the images are mapped from,
      buffers of Ray and of a reduction over workers, and what Python and PyTorch take by themselves: about
      `PROCESS_BYTES` of a CPU's memory, and `common.memory.CONTEXT_BYTES` of a GPU's.
    - Nor what a convolution takes while it computes, nor what an allocator keeps.

    Measured on a CPU (torch 2.14, one thread) for eight configurations of 51 to 461 MiB in fp32 and bf16, as
    the peak of the resident memory over that of a tiny run: 0.98 to 1.24 times the estimate where freed
    memory goes back to the kernel at once, most with R1, whose second derivatives need room of their own;
    1.22 to 1.79 times as a run does it, which keeps freed memory (`common.device.keep_freed_memory`). Hence
    `ALLOWANCE`. On a GPU it was never measured. `tests/gan/costs/measured.py` is what measures.

    Raises: ConfigError when the batch does not divide over the workers, or the family does not support the
    resolution.
    """
    config.check_workers(workers)
    batch = config.batches().last // workers
    samples = -(-config.evaluation.metric_images // workers)
    generator, discriminator = networks_on_meta(config, channels=channels)
    average = copy.deepcopy(generator).eval().requires_grad_(False)
    with without_numbers(), LiveBytes() as live:
        players = with_optimizers(config, faked(generator), faked(discriminator), faked(average))
        _train(players, config, batch, channels, dtype)  # Adam's moments come with the first step
        live.restart()
        _train(players, config, batch, channels, dtype)
        latents = torch.empty(samples, config.network.latent_size)
        sample_on_device(players.ema, latents, dtype, batch=images_at_once(config))
        del latents
        peak = live.peak
    kept = {
        "weights": _bytes(_tensors(players.generator)) + _bytes(_tensors(players.discriminator)),
        "averaged_generator": _bytes(_tensors(players.ema)),
        "gradients": max(_bytes(net.parameters()) for net in (players.generator, players.discriminator)),
        "optimizer": sum(
            _bytes(state.values())
            for optimizer in (players.generator_optimizer, players.discriminator_optimizer)
            for state in optimizer.state.values()
        ),
    }
    return StepMemory(**kept, activations=peak - sum(kept.values()))


def _train(players: Players, config: GanConfig, batch: int, channels: int, dtype: torch.dtype | None) -> None:
    """One step at the start of a run, where regularizers that fade are strongest."""
    device, shape = torch.device("cpu"), (batch, channels, *[config.data.resolution] * 2)
    settings = step_settings(config, device=device, world_size=1)
    regularizing = Regularizing(config, _no_images(config, batch, channels), ranks=Ranks(), device=device)
    train_step(
        players,
        torch.empty(shape).to(memory_format=torch.channels_last),
        torch.empty(batch, numbers_per_image(config.network, config.data.resolution)),
        torch.empty(batch // config.network.packing),
        dataclasses.replace(settings, autocast_dtype=dtype),
        UNCOMPILED,
        who_trains=Turn(discriminator=True, generator=True),
        regularization=regularizing.for_step(0, images_seen=0, progress=0.0, batch=batch),
    )


def _no_images(config: GanConfig, batch: int, channels: int) -> Images:
    """A data set of the right shape: one pixel, repeated."""
    side = config.data.resolution
    black = np.broadcast_to(np.uint8(0), (4 * batch, side, side, channels))
    return Images(
        train=black,
        held_out=black,
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint="",
    )


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
