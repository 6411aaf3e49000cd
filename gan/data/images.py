"""The decoded images of a run: arrays, labels and what identifies them."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from common.errors import require


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
