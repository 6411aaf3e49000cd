"""random changes of real and generated images that gradients pass through (Zhao et al. 2020)."""

import dataclasses

from common.errors import require
from gan.training.augmentations import AUGMENTATIONS
from gan.training.regularization import Change, Moment, Regularizer

OFF = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the regularizer."""

    augment: str = OFF
    """Changes of the images that the discriminator sees, both real and generated: none, or a list such as
    colour,translation,cutout, applied in that order."""

    def __post_init__(self) -> None:
        names = chosen(self, adapts=False)
        known = all(name in AUGMENTATIONS for name in names)
        require(
            known and len(set(names)) == len(names) and (bool(names) or self.augment == OFF),
            f"--augment must be none or a list of {', '.join(AUGMENTATIONS.names)}, each once, not "
            f"{self.augment!r}; try {','.join(AUGMENTATIONS.names)}",
        )


def chosen(settings: Settings, *, adapts: bool) -> tuple[str, ...]:
    """Names of the augmentations, in the order in which they are applied; empty for none.

    adapts: whether a balance policy decides their probability. It then uses all where none is named, which
    lets a search choose the policy alone.
    """
    if settings.augment == OFF:
        return AUGMENTATIONS.names if adapts else ()
    return tuple(name.strip() for name in settings.augment.split(","))


def _change(settings: Settings, moment: Moment) -> Change | None:
    names = chosen(settings, adapts=moment.adapts)
    if not names:
        return None
    from gan.training.augmentations import _composed

    return _composed.change(names, moment)


REGULARIZER = Regularizer(change=_change)
