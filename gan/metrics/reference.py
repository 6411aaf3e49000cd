"""The real images that a metric compares with: which are taken, and what is kept of them on the disk."""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch

from common.errors import require
from common.storage.atomic import WriteError, replace_file

LEAST_IMAGES = 16
FOLDER = "references"

Tensors = dict[str, torch.Tensor]


def check_sizes(train: int, held_out: int, source: str) -> None:
    """Raise `ConfigError` unless so many images suffice to measure anything."""
    require(
        min(train, held_out) >= LEAST_IMAGES,
        f"--data {source} must leave {LEAST_IMAGES} images to train on and as many held out, "
        f"not {train} and {held_out}; give more images or raise --held-out",
    )


def evenly(images: np.ndarray, count: int) -> np.ndarray:
    """`count` of the images, taken at equal distances; all of them when there are not more."""
    # data sets often come sorted by class; the first images would be one class
    count = min(count, len(images))
    places = np.linspace(0, len(images) - 1, count).round().astype(np.int64)
    return np.asarray(images[places])


def remembered(cache: Path | None, key: Sequence[str] | None, compute: Callable[[], Tensors]) -> Tensors:
    """The tensors kept in `cache` under `key`, or else what `compute` returns, kept from now on.

    key: everything that decides the tensors: content of the data, hash of the network, preprocessing; never
    a mere name. Without cache or key nothing is kept. A file that is damaged, or a cache that cannot be
    written, costs the time to compute and nothing else.
    """
    if cache is None or key is None:
        return compute()
    name = hashlib.blake2b("\0".join(key).encode(), digest_size=16).hexdigest()
    path = cache / FOLDER / f"{name}.safetensors"
    with contextlib.suppress(OSError, safetensors.SafetensorError):
        return safetensors.torch.load(path.read_bytes())
    tensors = compute()
    with contextlib.suppress(WriteError):
        replace_file(path, safetensors.torch.save(tensors))
    return tensors
