"""The images and random numbers of a step, as a pure function of the seed and the step.

No state of a random generator is kept, so a resume needs none. Everything is drawn for the global batch and
then cut to a rank's share, so two ranks together see what one would see.
"""

import functools
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan.data.images import mirrored_where

# the order is part of what a seed means: add at the end
Purpose = Literal[
    "generator",
    "discriminator",
    "order",
    "latents",
    "penalty",
    "evaluation",
    "grid",
    "confirmation",
    "augment",
    "noise",
    "held_out",
    "flip",
    "generator_penalty",
]
_PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


def derived_seed(seed: int, purpose: Purpose, step: int = 0) -> int:
    """A seed for one purpose in one step, 0 to 2^63 - 1, unrelated to those of other purposes and steps."""
    sequence = np.random.SeedSequence([seed, _PURPOSES.index(purpose), step])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def image_indices(seed: int, first: int, *, batch: int, num_images: int) -> npt.NDArray[np.int64]:
    """The training images of a global batch, (batch,), of which `first` images were shown before it: each
    once an epoch, in a new order."""
    positions = np.arange(first, first + batch)
    epochs, offsets = np.divmod(positions, num_images)
    indices = np.empty(batch, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = _epoch_order(seed, int(epoch), num_images)[offsets[here]]
    return indices


def real_pixels(
    train: npt.NDArray[np.uint8], seed: int, step: int, *, first: int, batch: int, mine: slice, flip: bool
) -> npt.NDArray[np.uint8]:
    """This rank's share of a step's training images, with `flip` mirrored with probability 1/2 each.

    train: (N, H, W, C); first: images shown before; mine: its share of the global batch.
    """
    pixels = train[image_indices(seed, first, batch=batch, num_images=len(train))[mine]]
    if not flip:
        return pixels
    coins = uniform(seed, "flip", step, (batch,)) < 0.5
    return mirrored_where(coins[mine].numpy(), pixels)


@functools.lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, num_images: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, _PURPOSES.index("order"), epoch]).permutation(num_images)


def normal(seed: int, purpose: Purpose, step: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers on the CPU, the same whatever device they are then moved to."""
    generator = torch.Generator().manual_seed(derived_seed(seed, purpose, step))
    return torch.randn(shape, generator=generator)


def uniform(seed: int, purpose: Purpose, step: int, shape: tuple[int, ...]) -> Tensor:
    """Numbers uniform in [0, 1) on the CPU, the same whatever device they are then moved to."""
    generator = torch.Generator().manual_seed(derived_seed(seed, purpose, step))
    return torch.rand(shape, generator=generator)


def normal_on_device(
    seed: int, purpose: Purpose, step: int, shape: tuple[int, ...], device: torch.device
) -> Tensor:
    """Standard normal numbers drawn on the device: other ones on a GPU than on the CPU, none to be copied."""
    generator = torch.Generator(device).manual_seed(derived_seed(seed, purpose, step))
    return torch.randn(shape, generator=generator, device=device)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; the host does not wait for the copy to a GPU."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def images_on_device(pixels: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 (N, H, W, C) as fp32 (N, C, H, W) in [-1, 1], channels-last, converted on the device."""
    return from_pixels(to_device(torch.from_numpy(pixels), device))


def from_pixels(pixels: Tensor) -> Tensor:
    """uint8 (N, H, W, C) as fp32 (N, C, H, W) in [-1, 1] on the same device, channels-last."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32).sub_(127.5).div_(127.5)


def to_pixels(images: Tensor) -> Tensor:
    """(N, C, H, W) in [-1, 1] as uint8 (N, H, W, C) on the same device, rounded to the nearest level."""
    levels = images.float().mul(127.5).add(127.5).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous()
