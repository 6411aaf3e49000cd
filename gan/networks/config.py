"""The settings of both networks: what all families have, then each family's own."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from common.errors import require
from common.owners import Owners
from common.settings import check_distinct, check_rules
from gan.networks.families import FAMILIES, settings_by_family

_SETTINGS = settings_by_family()

# mypy cannot read a Literal or a base class that is computed
if TYPE_CHECKING:
    FamilyName = str

    class _FamilySettings: ...

else:
    FamilyName = Literal[*FAMILIES.names]
    check_distinct(_SETTINGS.values())
    # fields are taken from the last base class to the first
    _FamilySettings = type("_FamilySettings", tuple(reversed(_SETTINGS.values())), {})


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Network:
    EARLIER: ClassVar[Mapping[str, Any]] = {"packing": 1, "minibatch_std": 0, "gradient_checkpointing": False}

    family: Annotated[FamilyName, tyro.conf.arg(help=FAMILIES.help())] = "dcgan"
    width: int = 64
    """Channels of the layer nearest the image; each smaller layer has twice as many, at most 16 times."""
    latent_size: int = 100
    """Length of the generator's input vector."""
    spectral_norm: bool = False
    """Spectral normalization of the discriminator's weights (Miyato et al. 2018)."""
    sync_batch_norm: bool = False
    """BatchNorm over the global batch instead of each worker's share."""
    packing: int = 1
    """Images that the discriminator judges at once, stacked as channels (PacGAN, Lin et al. 2018)."""
    minibatch_std: int = 0
    """Images of a group whose spread the discriminator sees (Karras et al. 2018), a pack counting as one; 0:
    off."""

    gradient_checkpointing: bool = False
    """For progressive, msg and style: compute activations again in the backward pass instead of keeping them;
    takes a fraction of the memory, and more time, and gives the same numbers."""

    def __post_init__(self) -> None:
        require(
            not (self.gradient_checkpointing and self.spectral_norm),
            "--gradient-checkpointing gives other numbers with --spectral-norm, whose vectors move with each "
            "pass; leave one of them out",
        )
        require(1 <= self.width <= 1024, f"--width must lie between 1 and 1024, not {self.width}; try 64")
        require(
            1 <= self.latent_size <= 8192,
            f"--latent-size must lie between 1 and 8192, not {self.latent_size}; try 100",
        )
        require(1 <= self.packing <= 64, f"--packing must lie between 1 and 64, not {self.packing}; try 2")
        require(
            self.minibatch_std == 0 or 2 <= self.minibatch_std <= 1024,
            f"--minibatch-std must be 0 or lie between 2 and 1024, not {self.minibatch_std}; try 4",
        )

    def images_judged_together(self) -> int:
        """Images of a rank's batch that the discriminator judges as one: those of a pack, times a group."""
        return self.packing * max(1, self.minibatch_std)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig(_FamilySettings, _Network):
    """Shape of generator and discriminator: what all families have, then each family's own settings."""

    OWNERS: ClassVar[Owners] = Owners.of_classes("family", _SETTINGS)

    def __post_init__(self) -> None:
        check_rules(self, (_Network, *_SETTINGS.values()))
        self.OWNERS.check(self)
