"""Which trackers a run or a sweep has: a flag for each, made from their modules."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Self

import tyro

from common.errors import require
from common.storage.folder import Folder
from gan.tracking.named import TRACKERS, Tracker


def _field(name: str) -> str:
    return name.replace("-", "_")


# mypy cannot read a base class that is computed
if TYPE_CHECKING:

    class _Switches:
        def __init__(self, **switches: bool) -> None: ...

    class _Changes: ...

else:

    def _switches(kind: Any, *, prefix: str = "", help_text: str) -> list[tuple[str, Any, Any]]:
        """A boolean field for each tracker; in the help text, {} is what its module says of itself."""
        return [
            (
                prefix + _field(name),
                Annotated[kind, tyro.conf.arg(help=help_text.format(TRACKERS.summary(name)))],
                dataclasses.field(default=False),
            )
            for name in TRACKERS
        ]

    _OneWay = tyro.conf.FlagCreatePairsOff[bool]
    _Switches = dataclasses.make_dataclass(
        "_Switches", _switches(bool, help_text="{}."), frozen=True, kw_only=True
    )
    _Changes = dataclasses.make_dataclass(
        "_Changes",
        _switches(_OneWay, help_text="{}; default: as before.")
        + _switches(_OneWay, prefix="no_", help_text="Go on without it."),
        frozen=True,
        kw_only=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackingConfig(_Switches):
    """A switch for each tracker; none changes what is computed."""

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        """These trackers switched on, as far as there are such."""
        return cls(**{_field(name): True for name in names if name in TRACKERS})

    def names(self) -> tuple[str, ...]:
        """The trackers that are switched on."""
        return tuple(name for name in TRACKERS if getattr(self, _field(name)))

    def trackers(self, folder: Folder) -> dict[str, Tracker]:
        """The trackers that are switched on, by name, for results in `folder`.

        Raises: ConfigError when one cannot work, such as without its package.
        """
        found = {name: TRACKERS[name] for name in self.names()}
        for name, tracker in found.items():
            tracker.check_package(f"--{name}")
            tracker.check(folder)
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackingChanges(_Changes):
    """Which trackers a resumed sweep has besides those that it had, and which no longer."""

    def __post_init__(self) -> None:
        for name in TRACKERS:
            require(
                not (self._says(name) and self._says(name, "no_")),
                f"--{name} and --no-{name} exclude each other; give one of them",
            )

    def changed(self, before: TrackingConfig) -> TrackingConfig:
        """The switches after these changes."""
        names = (name for name in TRACKERS if name in before.names() or self._says(name))
        return TrackingConfig.of(name for name in names if not self._says(name, "no_"))

    def _says(self, name: str, prefix: str = "") -> bool:
        return bool(getattr(self, prefix + _field(name)))
