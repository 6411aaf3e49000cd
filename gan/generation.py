"""Samples of a generator: loading it, its latents, its images as pixels."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from common.device import autocast_dtype, exact_float32
from common.errors import ConfigError
from gan import checkpoint
from gan.checkpoint import CheckpointError
from gan.config import GanConfig
from gan.generator_file import find_generator
from gan.networks import build_generator
from gan.training import seeding
from gan.training.passes import generate

Pixels = npt.NDArray[np.uint8]
FixedPurpose = Literal["evaluation", "grid", "confirmation"]

BATCH = 256
"""Most images that are generated at once."""
_FEATURES_AT_ONCE = BATCH * 64 * 64**2
"""Features of the layer nearest the image, of all images that are generated at once: more of them would take
more memory than training."""


def load_trained(location: str) -> tuple[nn.Module, GanConfig]:
    """Load the generator of a run's or a sweep's folder or of a .safetensors file, local or at a URL.

    Returns: the generator in evaluation mode on the CPU, and the settings that it was trained with.

    Raises: ConfigError when there is none or its tensors do not fit its settings.
    """
    folder, name = find_generator(location)
    data = folder.read(name)
    if data is None:
        raise ConfigError(f"{folder.path(name)} was removed a moment ago; give another checkpoint")
    state = checkpoint.generator_from_bytes(data, name=location)
    config = GanConfig.from_dict(state.config)
    generator = build_generator(config.network, resolution=config.data.resolution, channels=state.channels)
    try:
        generator.load_state_dict(state.tensors)
    except RuntimeError:
        raise CheckpointError(f"{location} does not fit its own settings; give another checkpoint") from None
    if not all(bool(tensor.isfinite().all()) for tensor in state.tensors.values()):
        raise CheckpointError(f"{location} holds numbers that are not finite; give an earlier checkpoint")
    # in the order in which it was trained: another one sums up, hence rounds, differently
    return generator.eval().to(memory_format=torch.channels_last), config


def sample(generator: nn.Module, latents: Tensor, config: GanConfig) -> Pixels:
    """latents (N, latent_size) -> uint8 (N, H, W, C), computed as precisely as in the run with `config`."""
    return sample_as_in_run(generator, latents, config)[0].cpu().numpy()


def sample_as_in_run(generator: nn.Module, latents: Tensor, config: GanConfig) -> tuple[Tensor, Tensor]:
    """What `sample_on_device` returns, computed as precisely as in the run with `config`."""
    dtype = autocast_dtype(config.precision, next(generator.parameters()).device)
    return sample_on_device(generator, latents, dtype, batch=images_at_once(config))


def images_at_once(config: GanConfig) -> int:
    """How many images are generated at once, for the memory: 256 where they are small, at least 4."""
    features = config.network.width * config.data.resolution**2
    return min(BATCH, max(4, _FEATURES_AT_ONCE // features))


@torch.no_grad()
@exact_float32()
def sample_on_device(
    generator: nn.Module, latents: Tensor, autocast_dtype: torch.dtype | None, *, batch: int = BATCH
) -> tuple[Tensor, Tensor]:
    """latents (N, latent_size) -> uint8 (N, H, W, C), in batches on the generator's device.

    batch: how many are generated at once.

    Returns: the pixels, and how many numbers of the images were not finite, a scalar; both on the device.
    """
    device = next(generator.parameters()).device
    parts: list[Tensor] = []
    num_broken = torch.zeros((), device=device)
    for part in latents.to(device).split(batch):
        images = generate(generator, part, autocast_dtype)
        num_broken += images.isfinite().logical_not().sum()
        parts.append(seeding.to_pixels(images))
    return torch.cat(parts), num_broken


def fixed_latents(config: GanConfig, purpose: FixedPurpose, count: int) -> Tensor:
    """(count, latent_size), standard normal, decided by the run's seed.

    purpose: the latents of a tick's measurement, those of its grid of samples, or those with which a state is
    measured again that was chosen by the first.
    """
    return seeding.normal(config.seed, purpose, 0, (count, config.network.latent_size))


def random_latents(config: GanConfig, count: int, seed: int) -> Tensor:
    """(count, latent_size), standard normal, decided by `seed`; a larger count begins with the same rows."""
    # row by row: drawn at once, the numbers of a row would depend on how many rows there are
    shape = (1, config.network.latent_size)
    return torch.cat([seeding.normal(seed, "grid", index, shape) for index in range(count)])
