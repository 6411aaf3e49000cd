"""Labelled images as a classifier sees them: where each colour channel has a class of its own, one by one."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

Labels = npt.NDArray[np.int64]

_AT_ONCE = 512  # images taken from the memory map at once


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Classes:
    """The classes of a data set, and the labels of its images."""

    train: Labels
    """Of the training images, (N,) in [0, number)."""
    held_out: Labels
    number: int
    """Of classes."""
    per_channel: int = 0
    """`Images.channel_classes`."""
    training_key: str | None = None
    """The same for the same training images, whatever part of the held-out ones is compared with; None:
    nothing is kept for later."""

    @property
    def single(self) -> int:
        """How many classes the classifier tells apart: of a channel where channels are classified."""
        return self.per_channel or self.number

    def singles(self, images: torch.Tensor) -> torch.Tensor:
        """What is classified, of images (N, H, W, C): themselves, or their channels as (N * C, H, W, 1)."""
        if not self.per_channel:
            return images
        return images.permute(0, 3, 1, 2).flatten(0, 1)[..., None]

    def single_labels(self, labels: Labels, channels: int) -> torch.Tensor:
        """The label of each of `singles`, int64."""
        found = torch.from_numpy(np.array(labels, dtype=np.int64))
        if not self.per_channel:
            return found
        return (found[:, None] // self._places(channels) % self.per_channel).flatten()

    def joined(self, predicted: torch.Tensor, channels: int) -> torch.Tensor:
        """The classes of whole images (N,), from those of their `singles`."""
        if not self.per_channel:
            return predicted
        return (predicted.reshape(-1, channels) * self._places(channels)).sum(dim=1)

    def batches(self, images: np.ndarray, which: Labels) -> Iterator[torch.Tensor]:
        """`singles` of the images `which`, some at a time; images: uint8, perhaps memory-mapped."""
        for start in range(0, len(which), _AT_ONCE):
            yield self.singles(torch.from_numpy(np.asarray(images[which[start : start + _AT_ONCE]])))

    def _places(self, channels: int) -> torch.Tensor:
        return self.per_channel ** torch.arange(channels - 1, -1, -1)
