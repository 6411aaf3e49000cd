"""The real images that a metric compares with: which ones, and their features in the cache on disk."""

import contextlib
import dataclasses
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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RealImages:
    """What a metric is prepared from."""

    held_out: np.ndarray
    """uint8 (N, H, W, C), as `train`; both may be memory-mapped."""
    train: np.ndarray
    seed: int
    """Seed of the metric's own random numbers; one for all runs to be compared."""
    device: torch.device
    """Where the metric is computed."""
    fingerprint: str | None = None
    """The same for the same images, as `Images.fingerprint`; None: nothing is kept for later."""
    cache: Path | None = None
    """Folder in which features of the images are kept for the next process; None: nowhere."""


def check_sizes(train: int, held_out: int, source: str) -> None:
    """Raise `ConfigError` unless there are enough images to measure a metric."""
    require(
        min(train, held_out) >= LEAST_IMAGES,
        f"--data {source} must leave {LEAST_IMAGES} images to train on and as many held out, "
        f"not {train} and {held_out}; give more images or raise --held-out",
    )


def evenly(images: np.ndarray, count: int) -> np.ndarray:
    """`count` of the images at equal distances; all of them when there are no more."""
    # data sets are often sorted by class: the first images would all be of one class
    count = min(count, len(images))
    places = np.linspace(0, len(images) - 1, count).round().astype(np.int64)
    return np.asarray(images[places])


def remembered(cache: Path | None, key: Sequence[str] | None, compute: Callable[[], Tensors]) -> Tensors:
    """The tensors cached under `key`, or else what `compute` returns, cached from now on.

    key: everything that decides the tensors: content of the data, hash of the network, preprocessing; a
    name alone is not enough. Without cache or key nothing is kept. A damaged file or a cache that cannot be
    written costs only the time to compute.
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
