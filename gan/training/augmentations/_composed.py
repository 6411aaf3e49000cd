"""Several augmentations as one change of a step's images."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from gan.training import seeding
from gan.training.augmentations import AUGMENTATIONS
from gan.training.regularization import Change, Moment


def change(names: tuple[str, ...], moment: Moment) -> Change:
    """The augmentations in this order, with the random numbers of a step."""
    # of all three sets whether they are looked at or not: the first two then never depend on it
    shape = (3, moment.batch, sum(AUGMENTATIONS[name].num_numbers + 1 for name in names))
    numbers = seeding.uniform(moment.seed, "augment", moment.step, shape)[:, moment.mine]
    return Change(composed(names), seeding.to_device(numbers, moment.device))


@functools.cache
def composed(names: tuple[str, ...]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """(images (N, C, H, W), numbers (N, K), probability, scalar) -> images.

    Each image is changed by each augmentation with this probability, by its own decision: Karras et al. 2020,
    "Training generative adversarial networks with limited data", section 2.3. For each augmentation an image
    has first the number that decides, then those that the augmentation takes.
    """
    entries = tuple((AUGMENTATIONS[name].apply, AUGMENTATIONS[name].num_numbers) for name in names)

    def augmented(images: Tensor, numbers: Tensor, probability: Tensor) -> Tensor:
        first = 0
        for apply, count in entries:
            is_changed = numbers[:, first] < probability
            changed = apply(images, numbers[:, first + 1 : first + 1 + count])
            images = torch.where(is_changed[:, None, None, None], changed, images)
            first += 1 + count
        return images

    return augmented
