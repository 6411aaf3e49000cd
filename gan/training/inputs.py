"""What a step trains on: real images, the numbers to generate from, shares for a penalty."""

import torch
from torch import Tensor

from gan.config import GanConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.networks import numbers_per_image
from gan.training import seeding
from gan.training.losses import LOSSES


class Inputs:
    """The inputs of each step of a run, a function of its seed and of what came before."""

    def __init__(self, config: GanConfig, images: Images, ranks: Ranks, device: torch.device) -> None:
        self._config, self._images, self._ranks, self._device = config, images, ranks, device
        self._numbers = numbers_per_image(config.network, images.resolution)
        self._is_penalized = LOSSES[config.loss.name].penalty_weight(config.loss) > 0

    def of_step(self, step: int, images_seen: int, batch: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """This rank's images, the numbers to generate from and, for a penalty, the shares to mix by.

        images_seen: real images shown before. batch: images of the step, over all ranks.
        """
        config, mine = self._config, self._ranks.share(batch)
        pixels = seeding.real_pixels(
            self._images.train,
            config.seed,
            step,
            first=images_seen,
            batch=batch,
            mine=mine,
            flip=config.data.flip,
        )
        real = seeding.images_on_device(pixels, self._device)
        latents = seeding.normal(config.seed, "latents", step, (batch, self._numbers))[mine]
        latents, shares = seeding.to_device(latents, self._device), None
        if self._is_penalized:
            packs = batch // config.network.packing
            uniform = seeding.uniform(config.seed, "penalty", step, (packs,))
            shares = seeding.to_device(uniform[self._ranks.share(packs)], self._device)
        return real, latents, shares
