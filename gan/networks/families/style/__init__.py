"""a mapping network chooses styles, which modulate every layer (Karras et al. 2019, 2020).

StyleGAN2: weight demodulation, a skip generator, noise in every layer, style mixing and path-length
regularization; `--r1 1 --r1-every 16` adds its lazy penalty on the discriminator's gradient.
"""

import dataclasses
from typing import TYPE_CHECKING

from common.errors import require, require_between
from gan.networks.families import GeneratorPenalty
from gan.networks.families._built import built_from

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gan.config import NetworkConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the family."""

    mapping_layers: int = 8
    """For style: layers of the network that maps latents to styles."""
    style_mixing: float = 0.9
    """For style: probability that an image's later layers have the style of another latent, 0 to 1."""
    path_length: float = 2.0
    """For style: weight of path-length regularization, with which equal steps of a style change an image by
    equal amounts; 0: none."""
    path_length_every: int = 4
    """For style: updates of the generator from one path-length term to the next, which counts so many times
    as much."""

    def __post_init__(self) -> None:
        require(
            1 <= self.mapping_layers <= 64,
            f"--mapping-layers must lie between 1 and 64, not {self.mapping_layers}; try 8",
        )
        require_between("--style-mixing", self.style_mixing, 0, 1)
        require_between("--path-length", self.path_length, 0, 1e6)
        require(
            1 <= self.path_length_every <= 1000,
            f"--path-length-every must lie between 1 and 1000, not {self.path_length_every}; try 4",
        )


def numbers_per_image(config: "NetworkConfig", resolution: int) -> int:
    """Two latents, two numbers that decide on their mix, and the noise of every layer."""
    from gan.networks.families.style.inputs import Layout

    return Layout.of(config, resolution).total


def generator_penalty(config: "NetworkConfig") -> GeneratorPenalty | None:
    """Path-length regularization, lazily as the authors do."""
    from gan.networks.families.style.path_length import path_length_penalty

    assert isinstance(config, Settings), "a NetworkConfig has the settings of every family"
    if config.path_length == 0:
        return None
    return GeneratorPenalty(
        function=path_length_penalty,
        weight=config.path_length * config.path_length_every,
        every=config.path_length_every,
    )


def truncate(generator: "nn.Module", share: float) -> None:
    """The truncation trick (Karras et al. 2019, appendix B): styles come nearer to their mean."""
    from gan.networks.families.style.networks import Generator

    assert isinstance(generator, Generator)
    generator.truncation = share


def mix(generator: "nn.Module", coarse: "Tensor", fine: "Tensor") -> "Tensor":
    """Images with the styles of `coarse` in the first half of the layers, and of `fine` in the others."""
    import torch

    from gan.networks.families.style.networks import Generator

    assert isinstance(generator, Generator)
    styles, others = generator.styles(coarse), generator.styles(fine)
    first = styles.shape[1] // 2
    mixed = torch.cat([styles[:, :first], others[:, first:]], dim=1)
    return generator.images(mixed, generator.layout.noise(coarse))


FAMILY = built_from(
    "gan.networks.families.style.networks",
    recomputes=True,
    numbers_per_image=numbers_per_image,
    generator_penalty=generator_penalty,
    truncate=truncate,
    mix=mix,
)
