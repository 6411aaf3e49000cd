"""Registries whose entries are files: adding one is adding a file, and listing them imports none."""

import ast
import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from common.errors import ConfigError

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries by name, one module of a package each.

    The module `least_squares.py` is the entry `least-squares`, the first line of its docstring is what
    `--help` says of it, and its constant (`LOSS`, `POLICY`, ...) is the entry. Names and summaries are read
    without importing a module, so that a command line can list them without loading PyTorch. Modules whose
    names begin with an underscore are not entries.

    Args:
        package: dotted name of the package that holds the modules.
        constant: name of the constant in each module.
        what: what an entry is called in errors, such as `loss`.
        separator: replaces the underscores of the file's name in the entry's name.
    """

    def __init__(self, package: str, constant: str, *, what: str, separator: str = "-") -> None:
        self.package, self._constant, self._what, self._separator = package, constant, what, separator

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        found = pkgutil.iter_modules([str(self._folder)])
        modules = sorted(module.name for module in found if not module.name.startswith("_"))
        return tuple(name.replace("_", self._separator) for name in modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Entry:
        """The entry; its module is imported.

        Raises: ConfigError for a name that is not one of `names`; AttributeError when the module lacks the
        constant.
        """
        module = self.module(name)
        if not hasattr(module, self._constant):
            raise AttributeError(
                f"{module.__file__} needs the constant {self._constant}: see docs/extending.md"
            )
        entry: Entry = getattr(module, self._constant)
        return entry

    def module(self, name: str) -> Any:
        """The module of an entry, imported.

        Raises: ConfigError for a name that is not one of `names`.
        """
        if name not in self:
            raise ConfigError(f"{name!r} is not a {self._what}; choose one of {', '.join(self.names)}")
        return importlib.import_module(f"{self.package}.{self._module_name(name)}")

    def summary(self, name: str) -> str:
        """The first line of the module's docstring, without its full stop; nothing is imported."""
        file = self._folder / f"{self._module_name(name)}.py"
        if not file.exists():
            file = self._folder / self._module_name(name) / "__init__.py"
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        return docstring.partition("\n")[0].removesuffix(".")

    def help(self) -> str:
        """All entries with their summaries, for the help of the flag that chooses one."""
        return "; ".join(f"{name}: {self.summary(name)}" for name in self.names) + "."

    @functools.cached_property
    def _folder(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        assert spec is not None and spec.submodule_search_locations
        return Path(spec.submodule_search_locations[0])

    def _module_name(self, name: str) -> str:
        return name.replace(self._separator, "_")
