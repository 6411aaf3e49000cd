"""How far ahead the discriminator is: the distance of its outputs for real and generated images."""

import torch
from torch import Tensor, nn

from gan.data.images import Images
from gan.distributed import Ranks
from gan.metrics.reference import evenly
from gan.training.seeding import images_on_device
from gan.training.view import SEARCHED_HALF, outputs, see

IMAGES = 128
"""Images of each kind that all ranks together judge; fewer where there are fewer."""
MARGIN, OVERFIT = "discriminator_margin", "discriminator_overfit"
_LARGEST = 100.0  # more says nothing more, and numbers of a tick are finite


class MarginProbe:
    """Asks the discriminator about fixed training images, fixed held-out ones, and generated ones.

    The margin is the mean output for held-out images less that for generated ones, in standard deviations of
    both (d', the sensitivity index of signal detection): whatever the loss, 0 when it cannot tell them, and
    below 0 when it takes generated ones for more real than real ones. The overfit is the same between
    training and held-out images: 0 when it judges both alike, more when it knows its training images by
    heart, as Karras et al. 2020 watch to adapt augmentation.
    """

    def __init__(
        self, images: Images, num_generated: int, packing: int, ranks: Ranks, device: torch.device
    ) -> None:
        """num_generated: samples of all ranks together; packing: images that are judged at once."""
        held_out = images.held_out[SEARCHED_HALF]
        packs = min(IMAGES, num_generated, len(images.train), len(held_out)) // packing
        self._packs, self._packing, self._ranks = packs, packing, ranks
        mine = ranks.share(packs)
        self._share, self._images = mine, slice(mine.start * packing, mine.stop * packing)
        self._real = [
            images_on_device(evenly(part, packs * packing)[self._images], device)
            for part in (images.train, held_out)
        ]

    def measure(
        self, discriminator: nn.Module, samples: Tensor, autocast_dtype: torch.dtype | None
    ) -> dict[str, float]:
        """Margin and overfit, the same on every rank; the discriminator stays as it is.

        samples: this rank's samples of the generator, uint8 (N, H, W, C) on the device.
        """
        generated = samples[: len(self._real[0])].permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)
        own = torch.zeros(3, self._packs)
        for row, images in zip(own, (*self._real, generated), strict=True):
            seen = see(images, (), (), None, self._packing)
            row[self._share] = outputs(discriminator, seen, autocast_dtype).cpu()
        train, held_out, fakes = self._ranks.summed(own).double()
        return self._ranks.of_first({MARGIN: _distance(held_out, fakes), OVERFIT: _distance(train, held_out)})


def _distance(first: Tensor, second: Tensor) -> float:
    """Difference of the means in units of the root of the mean variance, within +-100."""
    difference = first.mean() - second.mean()
    deviation = ((first.var(correction=0) + second.var(correction=0)) / 2).sqrt()
    if deviation == 0:
        return 0.0 if difference == 0 else float(difference.sign()) * _LARGEST
    return float((difference / deviation).clamp(-_LARGEST, _LARGEST))
