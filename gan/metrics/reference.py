"""The real images that a metric compares with: which ones, and their features in the cache on disk."""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch

from common.storage.atomic import WriteError, replace_file
from gan.data.tidying import note_use
from gan.metrics.classes.labelled import Classes

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
    classes: Classes | None = None
    """Labels of the images; None: they have none."""
    flip: bool = False
    """Whether the generator is shown the training images in both orientations, so that the mirror image of
    one is a copy, too."""


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
        tensors = safetensors.torch.load(path.read_bytes())
        note_use(path)
        return tensors
    tensors = compute()
    with contextlib.suppress(WriteError):
        replace_file(path, safetensors.torch.save(tensors))
    return tensors


def remembered_features(
    cache: Path | None,
    key: Sequence[str],
    size: tuple[int, int],
    compute: Callable[[], Iterator[torch.Tensor]],
) -> torch.Tensor:
    """Features float32 of that size, from a file that is mapped instead of read: of a million images 4 GB.

    compute: the features batch by batch, which are written to the file as they come. Without a cache that can
    be written they are kept in memory.
    """
    if cache is not None:
        name = hashlib.blake2b("\0".join(key).encode(), digest_size=16).hexdigest()
        path = cache / FOLDER / f"{name}.npy"
        with contextlib.suppress(OSError, ValueError):
            if not path.exists():
                _write_features(path, size, compute())
            # copy on write: the tensor may not be written to, but PyTorch has no read-only ones
            mapped = np.load(path, mmap_mode="c", allow_pickle=False)
            if mapped.shape == size and mapped.dtype == np.float32:
                note_use(path)
                return torch.from_numpy(mapped)
    features, done = torch.empty(size), 0
    for batch in compute():
        features[done : done + len(batch)] = batch
        done += len(batch)
    return features


def _write_features(path: Path, size: tuple[int, int], batches: Iterator[torch.Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with beside.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": size}
            np.lib.format.write_array_header_1_0(file, header)
            for batch in batches:
                file.write(batch.float().cpu().contiguous().numpy().tobytes())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
