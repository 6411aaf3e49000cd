"""Settings that belong to one choice, such as those of one network family, and have no effect beside another.

Who gives such a setting beside another choice is told so. One that came along, in a saved configuration or
from the base of a search, is dropped instead: it takes its default. So a search may move between choices, and
what is saved can be read whatever has become of the settings of the others.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from common.errors import require


@dataclasses.dataclass(frozen=True)
class Owners:
    """Which choice each setting belongs to; a configuration names it as its class variable `OWNERS`."""

    chooser: str
    """The setting that chooses, such as `family`."""
    classes: Mapping[str, type]
    """The dataclass of settings of each choice that has some; every setting has a default."""

    def unused(self, chosen: object) -> dict[str, str]:
        """The settings without effect beside this choice, each with the choice that it belongs to."""
        return {
            field.name: owner
            for owner, settings in self.classes.items()
            if owner != chosen
            for field in dataclasses.fields(settings)
        }

    def check(self, config: Any) -> None:
        """Raise `ConfigError` when a setting that has no effect is not at its default."""
        chosen = getattr(config, self.chooser)
        defaults = {field.name: field.default for field in dataclasses.fields(config)}
        for name, owner in self.unused(chosen).items():
            value, default = getattr(config, name), defaults[name]
            require(
                value == default,
                f"--{name.replace('_', '-')} {value} has no effect with --{self.chooser} {chosen}, "
                f"it belongs to {owner}; leave it at {default} or choose --{self.chooser} {owner}",
            )
