"""The decoded images of a run: arrays, labels, and what a run remembers to know them again."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, require

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", npt.NDArray[Any], "torch.Tensor")
_COLOURS = {1: "grey", 3: "in colour"}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Training and held-out images, uint8 (N, H, W, C) with C 1 or 3, memory-mapped read-only, shuffled."""

    train: npt.NDArray[np.uint8]
    held_out: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64] | None
    held_out_labels: npt.NDArray[np.int64] | None
    class_names: tuple[str, ...]
    """Empty without labels."""
    skipped: tuple[tuple[str, str], ...]
    """(file, reason) of each broken picture."""
    fingerprint: str
    """Hex; the same for the same pictures and settings, wherever the files are."""
    others: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """How many files of other kinds were left out, by their endings."""
    channel_classes: int = 0
    """Above 0 where each colour channel is a picture of its own, of one of so many classes: a label is then
    the number whose digits to that base are the channels' classes, red first."""
    enlarged: int = 0
    """How many pictures have too few pixels for the resolution."""
    crops: int = 1
    """Images from each picture, which follow each other."""
    flip: bool = False
    """Whether images are shown in both orientations; each is stored in one of them by a coin. The held-out
    ones are then independent draws of what a generator learns. Each with its mirror image they would be near
    twins: their neighbours are nearer than those of any generator's images, and the kernel distance, a mean
    over pairs of independent images, is biased. docs/pictures.md has numbers."""

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.train.shape[3])

    @property
    def resolution(self) -> int:
        """Side of the square images in pixels."""
        return int(self.train.shape[1])

    def check_batch(self, batch: int, *, flag: str = "--batch", remedy: str | None = None) -> None:
        """Raise `ConfigError` when there are fewer training images than one batch.

        flag: what the message calls the batch. remedy: default: the next smaller power of 2.
        """
        have = len(self.train)
        require(
            batch <= have,
            f"{flag} must be at most the {have} training images ({len(self.held_out)} are held out), "
            f"not {batch}; {remedy or f'try --batch {1 << (max(have, 2).bit_length() - 1)}'}",
        )


def every_second_picture(images: Array, first: int, crops: int) -> Array:
    """All images of every second picture, from number `first` on; those of a picture follow each other.

    Every second image would put images of one picture into both halves.
    """
    by_picture = images.reshape(-1, crops, *images.shape[1:])
    return by_picture[first::2].reshape(-1, *images.shape[1:])


def mirrored(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A view of uint8 (N, H, W, C) with left and right exchanged."""
    return images[:, :, ::-1]


def mirrored_where(
    is_mirrored: npt.NDArray[np.bool_], images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """A copy of the images (N, H, W, C) in which those are mirrored whose flag, of (N,), is set."""
    return np.where(is_mirrored[:, None, None, None], mirrored(images), images)


def remember(images: Images) -> dict[str, Any]:
    """What identifies the images of a run or a sweep, as JSON values."""
    return {
        "fingerprint": images.fingerprint,
        "train": len(images.train),
        "held_out": len(images.held_out),
        "channels": images.channels,
    }


def check_same(
    remembered: dict[str, Any],
    images: Images,
    *,
    source: str,
    accepts_change: bool,
    channels: int | None = None,
) -> None:
    """Raise `ConfigError` when a run would be resumed with other images than those it began with.

    remembered: what `remember` returned then; {} in a run of an earlier version. source: what `--data` names.
    accepts_change: whether `--changed-data` was given; networks for other channels are refused even so.
    channels: those of the run's state, None when they are not known.
    """
    channels = remembered.get("channels", channels)
    require(
        channels in (None, images.channels),
        f"--data {source}: the pictures are {_COLOURS[images.channels]}, and the networks were made for ones "
        f"that are {_COLOURS.get(channels or 0)}; put the earlier pictures back, or start anew under another "
        "--name",
    )
    if not remembered or accepts_change or remembered.get("fingerprint") == images.fingerprint:
        return
    now = remember(images)
    counts = [
        f"{now[part]:,} {what} instead of {remembered.get(part, 0):,}"
        for part, what in (("train", "to train on"), ("held_out", "held out"))
        if now[part] != remembered.get(part)
    ]
    changes = ", ".join(counts) or "as many, with other content"
    raise ConfigError(
        f"--data {source}: the pictures have changed since this was begun ({changes}), so that values before "
        "and after do not compare; put the earlier ones back, name where they are with --data, or go on with "
        "these by --changed-data"
    )
