"""Pictures from a trained generator and walks between its latents; not how they are laid out."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from common.device import autocast_dtype
from common.errors import ConfigError
from common.storage.folder import Folder
from gan import checkpoint
from gan.checkpoint import CheckpointError
from gan.config import GanConfig
from gan.networks import Generator, build_generator
from gan.run_folder import GENERATOR
from gan.training import seeding
from gan.training.step import generate

Pixels = npt.NDArray[np.uint8]

BATCH = 256
FRAMES_BETWEEN = 16


def load_trained(location: str) -> tuple[Generator, GanConfig]:
    """The generator, ready to draw, of a run's folder or of one of its .safetensors files; local or a URL.

    Raises: ConfigError when there is none or its tensors do not fit its settings.
    """
    folder, _, name = location.rstrip("/").rpartition("/")
    if not name.endswith(".safetensors"):
        folder, name = location.rstrip("/"), GENERATOR
    data = Folder(folder or ".").read(name)
    if data is None:
        raise ConfigError(
            f"{location} has no {name}; give a run's folder with a finished tick, a sweep's best/, "
            "or a .safetensors file"
        )
    state = checkpoint.generator_from_bytes(data, name=location)
    config = GanConfig.from_dict(state.config)
    generator = build_generator(config.network, resolution=config.data.resolution, channels=state.channels)
    try:
        generator.load_state_dict(state.tensors)
    except RuntimeError:
        raise CheckpointError(f"{location} does not fit its own settings; give another checkpoint") from None
    if not all(bool(tensor.isfinite().all()) for tensor in state.tensors.values()):
        raise CheckpointError(f"{location} holds numbers that are not finite; give an earlier checkpoint")
    return generator.eval(), config


@torch.inference_mode()
def draw(generator: Generator, latents: torch.Tensor, config: GanConfig) -> Pixels:
    """latents (N, latent_size) -> uint8 (N, H, W, C), computed as precisely as in the run with `config`."""
    device = next(generator.parameters()).device
    dtype = autocast_dtype(config.precision, device)
    parts = latents.to(device).split(BATCH)
    batches = [seeding.to_pixels(generate(generator, part, dtype)).cpu().numpy() for part in parts]
    return np.concatenate(batches)


def random_latents(generator: Generator, count: int, seed: int) -> torch.Tensor:
    """(count, latent_size), standard normal, decided by the seed; more begin with the same ones."""
    # row by row: drawn at once, the numbers of a row would depend on how many rows there are
    rows = [seeding.normal(seed, "grid", index, (1, generator.latent_size)) for index in range(count)]
    return torch.cat(rows)


def walk(latents: torch.Tensor, frames_between: int = FRAMES_BETWEEN) -> torch.Tensor:
    """(N, L) -> (N * frames_between, L): from each row to the next and from the last back to the first.

    Spherical interpolation (White 2016), since Gaussian latents lie near a sphere.
    """
    return torch.cat(list(_arcs(latents, frames_between)))


def _arcs(latents: torch.Tensor, frames: int) -> Iterator[torch.Tensor]:
    shares = torch.linspace(0, 1, frames + 1)[:-1, None]
    for start, end in zip(latents, latents.roll(-1, dims=0), strict=True):
        cosine = torch.dot(start, end) / (start.norm() * end.norm())
        angle = torch.arccos(cosine.clamp(-1, 1))
        if angle.sin().abs() < 1e-4:  # parallel, as a row is to itself: any weights that sum to 1 will do
            yield torch.lerp(start, end, shares)
        else:
            yield (torch.sin((1 - shares) * angle) * start + torch.sin(shares * angle) * end) / angle.sin()
