"""moved by up to an eighth of the side, zeros where nothing was."""

import torch
from torch import Tensor

from gan.training.augmentations import Augmentation

_SHARE = 0.125


def translation(images: Tensor, numbers: Tensor) -> Tensor:
    """Move by a whole number of pixels, both directions alike likely, at most an eighth of the side.

    Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training", and the authors' code.
    images: (N, C, H, W); numbers: (N, 2) in [0, 1), down and to the right.
    """
    height, width = images.shape[2:]
    rows = _selection(numbers[:, 0], height).to(images.dtype)
    columns = _selection(numbers[:, 1], width).to(images.dtype)
    # products with matrices of zeros and ones: exact, and their gradients are the same in every run
    return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def _selection(numbers: Tensor, side: int) -> Tensor:
    """Which pixel comes to which place, (N, side, side), numbers (N,): [n, to, from]."""
    most = int(side * _SHARE + 0.5)
    shift = torch.floor(numbers * (2 * most + 1)) - most
    places = torch.arange(side, device=numbers.device)
    return places[:, None] - places == shift[:, None, None]


AUGMENTATION = Augmentation(apply=translation, num_numbers=2)
