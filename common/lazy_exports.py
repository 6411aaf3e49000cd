"""Names that a package offers and imports on first use, so that importing the package stays quick."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def exported_from(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package; a notebook completes names by the latter.

    homes: the module that has each name.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return find, lambda: sorted(homes)
