"""Another split of a store's images into training and held-out ones, without decoding any picture again.

A store holds its images in one shuffled order, the held-out ones first, so that another number of them moves
only the place where the order is cut.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gan.data.array_store import count_held_out, open_store, pictures_at_once, write_array
from gan.data.images import Images
from gan.data.picture_list import Square

_MARK = "order.txt"


def mark_split(folder: Path, order: str) -> None:
    """Write into a store which pictures it holds in which order, whatever the split."""
    (folder / _MARK).write_text(order + "\n", "utf-8")


def find_other_split(cache: Path, order: str) -> Images | None:
    """The images of a store in the cache with the same pictures in the same order; None without one."""
    for mark in cache.glob(f"*/{_MARK}"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if mark.read_text("utf-8").strip() == order:
                images = open_store(mark.parent)
                if images is not None:
                    return images
    return None


def split_again(images: Images, source: Path, folder: Path, held_out: int) -> None:
    """Write a store into the empty `folder` with `images`, those of the store `source`, split anew.

    `held_out` of them are held out; see `count_held_out`.
    """
    count = len(images.held_out) + len(images.train)
    border = count_held_out(held_out, count // images.crops, images.crops)
    facts = json.loads((source / "store.json").read_text("utf-8"))
    for part, (start, stop) in {"held_out": (0, border), "train": (border, count)}.items():
        shape = (stop - start, *images.train.shape[1:])
        write_array(folder / f"{part}.npy", shape, _blocks([images.held_out, images.train], start, stop))
        facts[part] = list(shape)
        if images.train_labels is not None and images.held_out_labels is not None:
            labels = np.concatenate([images.held_out_labels, images.train_labels])
            np.save(folder / f"{part}_labels.npy", labels[start:stop])
    shutil.copyfile(source / "skipped.csv", folder / "skipped.csv")
    (folder / "store.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def _blocks(arrays: Sequence[Square], start: int, stop: int) -> Iterator[Square]:
    """The images `start` to `stop` of all arrays in a row, some at a time."""
    before = 0
    for array in arrays:
        low, high = max(start - before, 0), min(stop - before, len(array))
        size = pictures_at_once(array.shape[1])
        for place in range(low, high, size):
            yield array[place : min(place + size, high)]
        before += len(array)
