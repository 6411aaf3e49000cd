"""The random numbers of a style generator, which come in one row for each image."""

import functools
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan.networks.config import NetworkConfig
from gan.networks.growing_blocks import FIRST_SIDE, sides_of

_NOISE_SEED = 0


class Layout(NamedTuple):
    """What the numbers of a row are: two latents, two that decide on their mix, the noise of each layer."""

    latent_size: int
    noise_sides: tuple[int, ...]
    """Side of each layer's noise, from the first layer on."""

    @classmethod
    def of(cls, config: NetworkConfig, resolution: int) -> Self:
        """The layout of a configuration: one layer at 4 x 4, two at every larger side."""
        first, *larger = sides_of(FIRST_SIDE, resolution)
        return cls(config.latent_size, (first, *(side for side in larger for _ in range(2))))

    @property
    def total(self) -> int:
        """Numbers of a row."""
        return 2 * self.latent_size + 2 + sum(side**2 for side in self.noise_sides)

    def latents(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """The first and, where rows have more than a latent, the second: (N, latent_size) each."""
        first = rows[:, : self.latent_size]
        if rows.shape[1] == self.latent_size:
            return first, None
        return first, rows[:, self.latent_size : 2 * self.latent_size]

    def first_mixed(self, rows: Tensor, probability: float) -> Tensor:
        """(N,) the layer from which on an image has its second style: uniform from the second layer on.

        With 1 - probability it is after the last layer.
        """
        place = 2 * self.latent_size
        is_mixed, where = (_uniform(rows[:, place + index]) for index in range(2))
        layers = len(self.noise_sides)
        crossing = 1 + (where * (layers - 1)).floor()
        return torch.where(is_mixed < probability, crossing, torch.full_like(crossing, layers))

    def noise(self, rows: Tensor) -> list[Tensor]:
        """Each layer's noise (N, 1, side, side); where rows are latents alone, the same for all images."""
        if rows.shape[1] == self.latent_size:
            return [
                torch.from_numpy(fixed_noise(side, index)).to(rows)
                for index, side in enumerate(self.noise_sides)
            ]
        parts = rows[:, 2 * self.latent_size + 2 :].split([side**2 for side in self.noise_sides], dim=1)
        return [
            part.unflatten(1, (1, side, side)) for part, side in zip(parts, self.noise_sides, strict=True)
        ]


# an array, not a tensor: one that was made while PyTorch traces a network would be none outside of that
@functools.lru_cache(maxsize=64)
def fixed_noise(side: int, index: int) -> npt.NDArray[np.float32]:
    """Standard normal numbers (1, 1, side, side), always the same for a layer."""
    randomness = np.random.Generator(np.random.Philox([_NOISE_SEED, index]))
    return randomness.standard_normal((1, 1, side, side), dtype=np.float32)


def _uniform(normal: Tensor) -> Tensor:
    """Standard normal numbers as numbers uniform in [0, 1)."""
    uniform: Tensor = torch.special.ndtr(normal.float())
    return uniform.clamp(max=1 - 1e-6)
