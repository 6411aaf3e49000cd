"""How far ahead the discriminator is: the distance of its outputs for real and generated images."""

import numpy as np
import torch
from torch import Tensor, nn

from gan.config import GanConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.networks import scales_of
from gan.training.seeding import from_pixels, images_on_device
from gan.training.view import outputs, searched_half, see

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
        self, config: GanConfig, images: Images, share: slice, num_generated: int, ranks: Ranks
    ) -> None:
        """share: which of all `num_generated` samples this rank has."""
        held_out = searched_half(images)
        self._packing, self._ranks = config.network.packing, ranks
        self._scales = scales_of(config.network, images.resolution)
        # on every rank whole packs, and whole groups of a minibatch standard deviation
        packs_per_group = max(1, config.network.minibatch_std)
        most = min(IMAGES, num_generated, len(images.train), len(held_out))
        # a power of 2, so that the samples of 2, 4 or 8 ranks are those of one
        most_groups = max(1, most // (packs_per_group * self._packing))
        groups = max(ranks.world_size, 1 << most_groups.bit_length() - 1)
        mine, self._packs = ranks.share(groups), groups * packs_per_group
        self._share = slice(mine.start * packs_per_group, mine.stop * packs_per_group)
        count = self._packs * self._packing
        places = np.arange(self._share.start * self._packing, self._share.stop * self._packing)
        self._real = [part[places * len(part) // count] for part in (images.train, held_out)]
        own = places * num_generated // count - share.start
        self._samples = torch.from_numpy(own.clip(0, share.stop - share.start - 1))

    def measure(
        self, discriminator: nn.Module, samples: Tensor, autocast_dtype: torch.dtype | None
    ) -> dict[str, float]:
        """Margin and overfit, the same on every rank; the discriminator stays as it is.

        samples: this rank's samples of the generator, uint8 (N, H, W, C) on the device.
        """
        device = samples.device
        generated = from_pixels(samples[self._samples.to(device)])
        sets = (*(images_on_device(part, device) for part in self._real), generated)
        seen = [see(images, (), (), None, self._packing, self._scales) for images in sets]
        own = torch.zeros(len(seen), self._packs)
        own[:, self._share] = torch.stack(outputs(discriminator, seen, autocast_dtype)).cpu()
        train, held_out, fakes = self._ranks.summed(own).double()
        return self._ranks.of_first({MARGIN: _distance(held_out, fakes), OVERFIT: _distance(train, held_out)})


def _distance(first: Tensor, second: Tensor) -> float:
    """Difference of the means in units of the root of the mean variance, within +-100."""
    difference = first.mean() - second.mean()
    deviation = ((first.var(correction=0) + second.var(correction=0)) / 2).sqrt()
    if deviation == 0:
        return 0.0 if difference == 0 else float(difference.sign()) * _LARGEST
    return float((difference / deviation).clamp(-_LARGEST, _LARGEST))
