"""Network families by name: pairs of a generator and a discriminator that fit each other.

A new family is a new module with a constant `FAMILY`; the first line of its docstring is its line in
`--help`. A family with settings of its own is a folder. Its `__init__.py` holds `FAMILY` and a frozen,
keyword-only dataclass `Settings` with rules in `__post_init__`: `NetworkConfig` inherits from it, so they
become flags and settings by themselves. `gan.config` imports this file, so it must import neither that nor
PyTorch; its functions may. A setting that is given beside another family is refused.
"""

import dataclasses
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from common.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gan.config import GanConfig, NetworkConfig
    from gan.networks import CriticNorm


class BuildGenerator(Protocol):
    """Builds a module on the CPU: latents (N, latent_size) -> images (N, C, H, W) in [-1, 1]."""

    def __call__(self, config: "NetworkConfig", *, resolution: int, channels: int, seed: int) -> "nn.Module":
        """Initial weights are decided by `seed` alone; the global random state stays as it was."""


class BuildDiscriminator(Protocol):
    """Builds a module on the CPU: images (N, C, H, W) in [-1, 1] -> logits (N,); positive means real.

    With packing `channels` are those of a pack of images.
    """

    def __call__(
        self, config: "NetworkConfig", *, resolution: int, channels: int, seed: int, norm: "CriticNorm"
    ) -> "nn.Module":
        """Initial weights as in `BuildGenerator`; norm: "layer" where each image must be judged alone."""


class Describe(Protocol):
    """Says a network's settings and its number of parameters in one sentence, without a full stop.

    `gan.networks.describing` counts parameters.
    """

    def __call__(self, config: "NetworkConfig", *, resolution: int, channels: int, norm: "CriticNorm") -> str:
        """The arguments are those of the builders."""


def _suits_all(config: Any, resolution: int) -> None:
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratorPenalty:
    """A term of the generator's loss that a family brings."""

    function: "Callable[[nn.Module, Tensor, Tensor, float], Tensor]"
    """(generator, its numbers (N, numbers_per_image), standard normal (N, C, H, W), which share of a rank's
    images these are) -> scalar."""
    weight: float
    every: int
    """Updates of the generator from one term to the next."""


def _no_penalty(config: "NetworkConfig") -> GeneratorPenalty | None:
    return None


def _whole_batches(config: "NetworkConfig", resolution: int) -> tuple[tuple[int, int], ...]:
    return ((0, 1),)


def _no_remarks(config: "GanConfig") -> list[str]:
    return []


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """How the two networks of a family are built."""

    build_generator: BuildGenerator
    build_discriminator: BuildDiscriminator
    describe: Describe
    resolutions: tuple[int, ...]
    """Sides of the square images that it can make, in pixels."""
    check: Callable[[Any, int], None] = _suits_all
    """(`NetworkConfig`, one of the resolutions): raises ConfigError where its settings do not suit the
    resolution."""
    truncate: "Callable[[nn.Module, float], None] | None" = None
    """(generator, share) -> None: lets it draw images that are likelier and less varied, share 1 being as it
    was trained; None: it has no such way."""
    mix: "Callable[[nn.Module, Tensor, Tensor], Tensor] | None" = None
    """(generator, coarse latents (N, L), fine ones (N, L)) -> images (N, C, H, W) with the coarse features of
    the first and the fine ones of the second."""
    draw_scales: "Callable[[nn.Module, Tensor], list[Tensor]] | None" = None
    """(generator, latents (N, L)) -> the images at every scale that it draws, the largest first."""
    numbers_per_image: "Callable[[NetworkConfig, int], int]" = lambda config, resolution: config.latent_size
    """(config, resolution) -> standard normal numbers that the generator takes for an image while it trains,
    of which the first are its latents; latents alone are enough for samples."""
    generator_penalty: "Callable[[NetworkConfig], GeneratorPenalty | None]" = _no_penalty
    scales: Callable[[int], int] = lambda resolution: 1
    """(resolution) -> at how many scales the discriminator sees each image. With more than 1 it takes
    pyramids, and the generator makes them while it trains, else images; see `gan.networks.pyramid`."""
    recomputes: bool = False
    """Whether its networks consist of blocks that may be computed twice; see `gan.networks.recomputing`."""
    batch_divisors: "Callable[[NetworkConfig, int], tuple[tuple[int, int], ...]]" = _whole_batches
    """(config, resolution) -> (images seen, by what the batch is divided from then on), the first at 0."""
    remarks: "Callable[[GanConfig], list[str]]" = _no_remarks
    """What a user should know of a run with these settings before it begins, a sentence each."""


FAMILIES: Registry[Family] = Registry("gan.networks.families", "FAMILY", what="network family")


def settings_by_family() -> dict[str, type]:
    """The `Settings` of the families that are folders, by name; the other families are not imported."""
    folders = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    names = [name.replace("_", "-") for name in folders if not name.startswith("_")]
    modules = {name: FAMILIES.module(name) for name in names}
    return {name: module.Settings for name, module in modules.items() if hasattr(module, "Settings")}
