"""a square of half the side set to 0."""

import torch
from torch import Tensor

from gan.training.augmentations import Augmentation

_SHARE = 0.5


def cutout(images: Tensor, numbers: Tensor) -> Tensor:
    """Set a square to 0, the middle grey, of half the side, whose middle is anywhere in the image.

    Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training", and the authors' code.
    images: (N, C, H, W) in [-1, 1]; numbers: (N, 2) in [0, 1), the middle's row and column.
    """
    height, width = images.shape[2:]
    inside = _band(numbers[:, 0], height)[:, :, None] & _band(numbers[:, 1], width)[:, None, :]
    return images * ~inside[:, None]


def _band(numbers: Tensor, side: int) -> Tensor:
    """Which rows or columns are cut, bool (N, side), numbers (N,)."""
    size = int(side * _SHARE + 0.5)
    first = torch.floor(numbers * (side + 1 - size % 2)) - size // 2
    places = torch.arange(side, device=numbers.device) - first[:, None]
    return (places >= 0) & (places < size)


AUGMENTATION = Augmentation(apply=cutout, num_numbers=2)
