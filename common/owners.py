"""Settings that belong to some choices, such as one network family, and have no effect beside others.

Who gives such a setting beside another choice is told so. One that came along, in a saved configuration or
from the base of a search, is dropped instead: it takes its default. So a search may move between choices, and
what is saved can be read whatever has become of the settings of the others.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from common.errors import require


@dataclasses.dataclass(frozen=True)
class Owners:
    """Which choices each setting belongs to; a configuration names it as its class variable `OWNERS`."""

    chooser: str
    """The setting that chooses, such as `family`."""
    choices: Mapping[str, tuple[str, ...]]
    """The choices beside which each owned setting has an effect; every such setting has a default."""
    earlier: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Earlier names of choices, as saved configurations have them, with the names of today."""

    @classmethod
    def of_classes(cls, chooser: str, classes: Mapping[str, type]) -> Self:
        """Where each choice has a dataclass of its own settings."""
        owned = {
            field.name: (choice,)
            for choice, settings in classes.items()
            for field in dataclasses.fields(settings)
        }
        return cls(chooser, owned)

    def unused(self, chosen: Any) -> tuple[str, ...]:
        """The settings without effect beside this choice."""
        chosen = self.earlier.get(chosen, chosen)
        return tuple(name for name, choices in self.choices.items() if chosen not in choices)

    def check(self, config: Any) -> None:
        """Raise `ConfigError` when a setting that has no effect is not at its default."""
        chosen = getattr(config, self.chooser)
        fields = {field.name: field for field in dataclasses.fields(config)}
        for name in self.unused(chosen):
            value, default = getattr(config, name), fields[name].default
            chooser, choices = _flag(fields[self.chooser]), self.choices[name]
            require(
                value == default,
                f"{_flag(fields[name])} {value} has no effect with {chooser} {chosen}, it belongs to "
                f"{' and '.join(choices)}; leave it at {default} or choose {chooser} {choices[0]}",
            )


def _flag(field: "dataclasses.Field[Any]") -> str:
    """What the command line calls a setting: its name, or the one that it is marked with."""
    marks = getattr(field.type, "__metadata__", ())
    name = next((mark.name for mark in marks if getattr(mark, "name", None)), field.name)
    return f"--{name.replace('_', '-')}"
