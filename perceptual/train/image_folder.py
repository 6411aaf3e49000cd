"""Reads a folder of class folders into one uint8 array with labels, with a pool of threads.

torchvision 0.29 lists the files. Reading them by its v2 transforms (PILToTensor, Resize, CenterCrop) in a
DataLoader takes 1.15 times as long without workers and 1.5 times as long with 2, measured with 6,000 CIFAR-10
pictures at 64 pixels on 2 CPU cores; also, the first damaged picture would end the loader.
"""

import concurrent.futures
import dataclasses
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from torchvision.datasets import ImageFolder

from common.errors import ConfigError, require
from common.text import one_line

MAX_BROKEN = 0.05  # share of unreadable pictures that are skipped


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledImages:
    """Decoded pictures with their classes."""

    images: npt.NDArray[np.uint8]
    """(N, side, side, 3)."""
    labels: npt.NDArray[np.int64]
    """(N,), indices into `classes`."""
    classes: tuple[str, ...]
    broken: tuple[str, ...]
    """Files that were skipped, each with the reason."""

    def digest(self) -> str:
        """Hash of pixels and labels, hex."""
        whole = hashlib.blake2b(digest_size=16)
        whole.update(self.images.data)
        whole.update(self.labels.data)
        return whole.hexdigest()


def read_folder(root: Path, side: int, on_read: Callable[[int, int], None] | None = None) -> LabelledImages:
    """Read the pictures below the folders of the root, each of which is a class, sorted by name.

    A picture is cut to its central square and resized to `side` pixels (bicubic). on_read: called every few
    hundred pictures with the number read and the number of all.

    Raises: ConfigError when there are fewer than two classes, a class without pictures, or more broken
    pictures than MAX_BROKEN.
    """
    files, labels, classes = _listing(root)
    images = np.empty((len(files), side, side, 3), dtype=np.uint8)
    reasons = _read(files, images, on_read)
    broken = tuple(f"{file}: {reason}" for file, reason in zip(files, reasons, strict=True) if reason)
    first = f"first {broken[0]}; " if broken else ""
    require(
        len(broken) <= MAX_BROKEN * len(files),
        f"at most {MAX_BROKEN:.0%} of the pictures in {root} may be broken, not {len(broken)} of "
        f"{len(files)}; {first}repair or remove them",
    )
    if broken:
        good = np.array([not reason for reason in reasons])
        images, labels = images[good], labels[good]
    left = np.bincount(labels, minlength=len(classes))
    require(
        bool(left.all()),
        f"{root / classes[int(left.argmin())]} must hold a readable picture; add one or remove the class",
    )
    return LabelledImages(images, labels, classes, broken)


def _listing(root: Path) -> tuple[list[str], npt.NDArray[np.int64], tuple[str, ...]]:
    require(
        root.is_dir(),
        f"{root} must be a folder with one folder for each class, and it does not exist; check the path",
    )
    try:
        listing = ImageFolder(str(root), allow_empty=True)
    except OSError as error:  # a folder without folders, or one without permission to read
        raise ConfigError(
            f"{root} must hold a folder of pictures for each class ({error}); see torchvision's ImageFolder"
        ) from None
    require(
        len(listing.classes) >= 2,
        f"{root} must hold at least 2 classes, not {len(listing.classes)}; give the folder above the classes",
    )
    require(bool(listing.samples), f"no folder in {root} holds a picture; give the folder above the classes")
    files = [file for file, _ in listing.samples]
    return files, np.asarray(listing.targets, dtype=np.int64), tuple(listing.classes)


def _read(
    files: list[str], images: npt.NDArray[np.uint8], on_read: Callable[[int, int], None] | None
) -> list[str]:
    """Fill the array; returns for each file why it could not be read, an empty text if it could."""
    side = images.shape[1]

    def read(index: int) -> str:
        try:
            with Image.open(files[index]) as picture:
                images[index] = np.asarray(
                    ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.BICUBIC)
                )
        except Exception as error:  # decoders of damaged files raise nearly anything, even struct.error
            return one_line(error)
        return ""

    reasons: list[str] = []
    with warnings.catch_warnings(), concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # warnings about odd files; damaged ones raise
        for reason in pool.map(read, range(len(files)), chunksize=64):
            reasons.append(reason)
            if on_read is not None and (len(reasons) % 256 == 0 or len(reasons) == len(files)):
                on_read(len(reasons), len(files))
    return reasons
