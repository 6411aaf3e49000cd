"""Decoded images as arrays on disk: written in parallel, shuffled and split, and opened memory-mapped.

A store is a folder named by the images' fingerprint, with `train.npy` and `held_out.npy`, their labels,
`skipped.csv` and `store.json`.
"""

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from common.image_files import quiet_pillow
from gan.config import DataConfig
from gan.data.decode import FLIPS, Framing
from gan.data.images import Images, mirrored_where
from gan.data.picture_list import PictureList, Square

STORE_VERSION = 1  # raise it whenever the same pictures would be stored as other pixels or in other files

_PARTS = ("train", "held_out")
_SKIPPED_HEADER = ("file", "reason")
_BATCH = 32  # pictures a task: few enough that small folders use all cores
_COPY_PIXELS = 4096 * 128**2  # held in memory at once while pictures are put in order


class Decoded(NamedTuple):
    """What was found while decoding."""

    broken: dict[int, str]
    """Index of a picture -> why it is broken."""
    enlarged: int
    """How many pictures have too few pixels for the resolution."""


def decode(
    pictures: PictureList, framing: Framing, file: BinaryIO, on_batch: Callable[[int], None]
) -> Decoded:
    """Write each picture's (crops, resolution, resolution, 3) bytes to `file`, in the order of the list.

    Calls `on_batch(done)` in this thread as batches finish.
    """
    # Threads, not processes: Pillow releases the interpreter's lock to decode and resize, and threads need no
    # main module that can be imported again and work within a Ray worker. Pictures of a few pixels, whose
    # decoding is mostly Python, gain nothing from threads, but are quick (measured: 0.1 to 0.2 ms each).
    count, shape = len(pictures.names), _shape_of(framing)
    pool = ThreadPoolExecutor(os.cpu_count())

    def one_batch(start: int) -> Decoded:
        found = pictures.read(start, min(start + _BATCH, count), framing)
        empty = np.zeros(shape, np.uint8)
        block = np.stack([empty if isinstance(each, str) else each.pixels for each in found])
        _write_at(file, start * math.prod(shape), block.tobytes())
        return Decoded(
            broken={start + i: each for i, each in enumerate(found) if isinstance(each, str)},
            enlarged=sum(each.is_enlarged for each in found if not isinstance(each, str)),
        )

    broken: dict[int, str] = {}
    enlarged = 0
    try:
        with quiet_pillow():
            for batch, found in enumerate(pool.map(one_batch, range(0, count, _BATCH)), start=1):
                broken |= found.broken
                enlarged += found.enlarged
                on_batch(min(batch * _BATCH, count))
    finally:
        pool.shutdown(cancel_futures=True)
    return Decoded(broken, enlarged)


def _shape_of(framing: Framing) -> tuple[int, int, int, int]:
    return framing.crops, framing.resolution, framing.resolution, 3


def _write_at(file: BinaryIO, offset: int, content: bytes) -> None:
    # threads share the file, so it is not seeked; on a nearly full disk one write is short, the next raises
    while content:
        written = os.pwrite(file.fileno(), content, offset)
        offset, content = offset + written, content[written:]


def write_store(
    folder: Path, pictures: PictureList, config: DataConfig, on_batch: Callable[[int], None]
) -> None:
    """Decode `pictures` into `folder`, which must be empty.

    Order and split come from one shuffle of the pictures by `config.data_seed`, so that the split does not
    follow the order of classes. All squares of a picture are in a row and in one part: what is held out has
    no part of a picture that is trained on.
    """
    names, framing = pictures.names, Framing.of(config)
    raw_path, shape = folder / "raw", _shape_of(framing)
    with raw_path.open("wb") as file:
        broken, enlarged = decode(pictures, framing, file, on_batch)
        file.truncate(len(names) * math.prod(shape))
    _write_skipped(folder / "skipped.csv", [(names[i], broken[i]) for i in sorted(broken)])

    good = np.setdiff1d(np.arange(len(names)), np.array(list(broken), dtype=np.int64))
    order = good[np.random.default_rng(config.data_seed).permutation(len(good))]
    squares = (order[:, None] * framing.crops + np.arange(framing.crops)).ravel()
    held_out = count_held_out(config.held_out, len(good), framing.crops)
    raw: Square = np.memmap(raw_path, np.uint8, "r", shape=(len(names) * framing.crops, *shape[1:]))
    is_mirrored = _coins(config.data_seed, len(raw)) if config.flip else None
    is_grey = config.colour == "grey" or (
        config.colour == "auto" and not pictures.channel_classes and _all_grey(raw)
    )
    for part, indices in zip(_PARTS, (squares[held_out:], squares[:held_out]), strict=True):
        _write_pictures(folder / f"{part}.npy", raw, indices, is_mirrored, is_grey)
        if pictures.labels is not None:
            np.save(folder / f"{part}_labels.npy", pictures.labels[indices // framing.crops])
    raw_path.unlink()

    image = [config.resolution, config.resolution, 1 if is_grey else 3]
    facts = {
        "train": [len(squares) - held_out, *image],
        "held_out": [held_out, *image],
        "has_labels": pictures.labels is not None,
        "class_names": pictures.class_names,
        "channel_classes": pictures.channel_classes,
        "skipped": len(broken),
        "enlarged": enlarged,
        "crops": config.crops,
        "flip": config.flip,
    }
    (folder / "store.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def count_held_out(wanted: int, pictures: int, crops: int = 1) -> int:
    """How many images are held out, all `crops` of each picture or none.

    Of as many pictures as make at most `wanted` images and are at most a fifth of all, but of at least one.
    """
    return crops * max(min(wanted // crops, pictures // 5), min(1, pictures))


def open_store(folder: Path) -> Images | None:
    """Memory-map the images of a store; None when it is absent, incomplete or visibly damaged."""
    try:
        facts = json.loads((folder / "store.json").read_text("utf-8"))
        arrays: dict[str, Any] = {}
        for part in _PARTS:
            arrays[part] = _mapped(folder / f"{part}.npy", np.uint8, tuple(facts[part]))
            labels_path = folder / f"{part}_labels.npy"
            arrays[f"{part}_labels"] = (
                np.array(_mapped(labels_path, np.int64, (facts[part][0],))) if facts["has_labels"] else None
            )
        with (folder / "skipped.csv").open(encoding="utf-8", newline="") as table:
            skipped = tuple((file, reason) for file, reason in csv.reader(table))
        _require_true(skipped[0] == _SKIPPED_HEADER and len(skipped) == 1 + facts["skipped"])
        return Images(
            **arrays,
            class_names=tuple(facts["class_names"]),
            # stores of earlier versions have none of these
            channel_classes=int(facts.get("channel_classes", 0)),
            enlarged=int(facts.get("enlarged", 0)),
            crops=int(facts.get("crops", 1)),
            flip=bool(facts.get("flip", False)),
            skipped=skipped[1:],
            fingerprint=folder.name,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError):
        return None


def _mapped(path: Path, dtype: type, shape: tuple[int, ...]) -> Any:
    # a file cut short cannot be mapped to the length its header names: ValueError
    mode: Literal["r"] | None = "r" if np.prod(shape) else None
    array = np.load(path, mmap_mode=mode, allow_pickle=False)
    _require_true(array.dtype == dtype and array.shape == shape)
    return array


def _require_true(holds: bool) -> None:
    if not holds:
        raise ValueError("the store's files do not match its store.json")


def pictures_at_once(side_px: int) -> int:
    """How many pictures are held in memory while they are copied."""
    return _COPY_PIXELS // side_px**2


def _chunks(count: int, side_px: int) -> Iterator[slice]:
    size = pictures_at_once(side_px)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _all_grey(raw: Square) -> bool:
    """Whether red, green and blue are equal everywhere, whatever mode the files have."""
    return all(bool((raw[part] == raw[part, ..., :1]).all()) for part in _chunks(len(raw), raw.shape[1]))


def _write_skipped(path: Path, skipped: list[tuple[str, str]]) -> None:
    # names that are not UTF-8 must not end the run
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as table:
        csv.writer(table).writerows([_SKIPPED_HEADER, *skipped])


def _coins(seed: int, count: int) -> npt.NDArray[np.bool_]:
    """Which of the images, in the order of their source, are stored mirrored: each with probability 1/2."""
    return np.random.Generator(np.random.Philox([FLIPS, seed])).random(count) < 0.5


def _write_pictures(
    path: Path,
    raw: Square,
    indices: npt.NDArray[np.int64],
    is_mirrored: npt.NDArray[np.bool_] | None,
    is_grey: bool,
) -> None:
    def block(places: npt.NDArray[np.int64]) -> Square:
        return raw[places] if is_mirrored is None else mirrored_where(is_mirrored[places], raw[places])

    blocks = (block(indices[part]) for part in _chunks(len(indices), raw.shape[1]))
    shape = (len(indices), *raw.shape[1:3], 1 if is_grey else 3)
    write_array(path, shape, (to_grey(each) if is_grey else each for each in blocks))


def write_array(path: Path, shape: tuple[int, ...], blocks: Iterable[Square]) -> None:
    """Write a .npy file of uint8 with that shape from its blocks along the first axis."""
    # written, not mapped: on a full disk a write raises OSError, a mapped page kills the process
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.tobytes())
        file.flush()
        os.fsync(file.fileno())


def to_grey(rgb: Square) -> Square:
    """Luminance of (..., 3) uint8 RGB as (..., 1): ITU-R 601-2, rounded as Pillow rounds it."""
    weighted = rgb.astype(np.uint32) @ np.array([19595, 38470, 7471], dtype=np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)[..., None]
