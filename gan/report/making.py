"""Makes a generator's gallery: samples, walks, and a comparison with the training pictures."""

import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from common.device import exact_float32
from common.errors import ConfigError, require
from common.text import one_line
from gan import generation
from gan.config import GanConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.generator_file import find_generator
from gan.image_grid import GAP_PX, grid, picture_of, webp_bytes
from gan.latent_walk import walk
from gan.report.nearest import Neighbours, compare
from gan.report.pictures import Gallery, Nearest
from gan.run_folder import DETAILS, RunFolder

_GRID, _SHOWN, _SHOWN_HELD_OUT = 64, 8, 2
_COMPARED = 512  # samples whose memorization is measured
_SEED = 0  # that of `gan sample`
_WALKS, _STATIONS, _FRAMES_BETWEEN, _FRAME_MS = 4, 3, 12, 80
_MOST_SEARCHED = {16: 10_000, 32: 10_000}
"""Training pictures that are searched unless all are, by their side: half a minute's work for a CPU core."""
_OF_LARGER = 3_000


def make_gallery(location: str, *, search_all: bool) -> Gallery:
    """The gallery of a generator's file; see `gallery_pictures`."""
    generator, config = generation.load_trained(location)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator.to(device)
    latents = generation.random_latents(config, _COMPARED, _SEED)
    samples = generation.sample(generator, latents, config)
    pictures: dict[str, Any] = {
        "grid": webp_bytes(picture_of(grid(samples[:_GRID], is_enlarged=False))),
        "walk": _walk(generator, config),
    }
    try:
        images = _images_of(location, config, channels=samples.shape[3])
    except (ConfigError, OSError) as error:
        return Gallery(**pictures, missing=one_line(error))
    side = config.data.resolution
    with exact_float32():
        found = compare(
            samples,
            images,
            config,
            shown=_SHOWN,
            shown_held_out=_SHOWN_HELD_OUT,
            most_searched=None if search_all else _MOST_SEARCHED.get(side, _OF_LARGER),
            device=device,
        )
    return Gallery(
        **pictures,
        nearest=_strips(found.samples),
        held_out=_strips(found.held_out),
        memorization=found.memorization,
        memorization_noise=found.memorization_noise,
        searched=found.searched,
        training_pictures=len(images.train),
    )


def _images_of(location: str, config: GanConfig, *, channels: int) -> Images:
    """The pictures that the generator was trained on.

    Raises: ConfigError when they are not where they were, or are others now.
    """
    images = load_images(config.data)
    source = config.data.source
    require(
        images.channels == channels,
        f"the pictures of {source} have {images.channels} colour channels, and the generator's {channels}",
    )
    folder, _ = find_generator(location)
    if folder.status(DETAILS) is not None:  # a run's folder, not a sweep's `best/`
        known = RunFolder(folder).details().get("images", {}).get("fingerprint")
        require(
            known in (None, images.fingerprint),
            f"the pictures of {source} are no longer those that the run was trained on",
        )
    return images


def _walk(generator: nn.Module, config: GanConfig) -> bytes:
    """Closed walks through a few latents, side by side, as an animated WebP file."""
    latents = generation.random_latents(config, _WALKS * _STATIONS, _SEED)
    walks = [walk(latents[start::_WALKS], _FRAMES_BETWEEN) for start in range(_WALKS)]
    count = len(walks[0])
    samples = generation.sample(generator, torch.cat(walks), config)
    by_walk = samples.reshape(_WALKS, count, *samples.shape[1:])
    frames = [
        picture_of(grid(by_walk[:, index], columns=_WALKS, is_enlarged=False)) for index in range(count)
    ]
    buffer = io.BytesIO()
    options: dict[str, Any] = {
        "save_all": True,
        "append_images": frames[1:],
        "duration": _FRAME_MS,
        "loop": 0,
        "quality": 80,
        "method": 2,
    }
    frames[0].save(buffer, format="WEBP", **options)
    return buffer.getvalue()


def _strips(found: Neighbours) -> tuple[Nearest, ...]:
    rows = zip(found.pictures, found.distances, strict=True)
    return tuple(Nearest(strip=webp_bytes(_strip(row)), distance=distance) for row, distance in rows)


def _strip(row: np.ndarray) -> Image.Image:
    """The picture itself, a wide gap, and the others beside each other."""
    side = row.shape[1]
    own, others = row[0], grid(row[1:], columns=len(row) - 1, is_enlarged=False)
    gap = np.full((side, 3 * GAP_PX, row.shape[3]), 255, np.uint8)
    return picture_of(np.concatenate([own, gap, others], axis=1))
