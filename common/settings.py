"""Base class of configurations: conversion to plain values and back, and settings by dotted path."""

import dataclasses
import functools
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, Self

import pydantic

from common.errors import ConfigError, require
from common.owners import Owners

# what convolutions compute in; auto: bf16 where the device computes it fast, else fp32
Precision = Literal["auto", "fp32", "bf16", "fp16"]

_adapter: Callable[[Any], pydantic.TypeAdapter[Any]] = functools.cache(pydantic.TypeAdapter)


class Settings:
    """Base class for frozen, keyword-only dataclasses that hold a configuration.

    Their `__post_init__` checks the rules and raises ConfigError. A field may itself be such a dataclass; its
    settings have dotted paths such as `optimizer.beta1`.

    Any of the dataclasses may name in `EARLIER`, a class variable, settings that came later, and the value
    that stands for what was done before. Saved settings are complete, so if those alone are missing, the file
    is older than they are, and it goes on meaning what it meant.

    One may also name in `OWNERS` which of its settings belong to one choice alone; see `common.owners`.
    """

    def to_dict(self) -> dict[str, Any]:
        """All settings as nested plain values, ready for JSON."""
        values: dict[str, Any] = dataclasses.asdict(self)  # type: ignore[call-overload]  # subclasses are some
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from nested plain values; missing keys take their defaults, text is read as the field's type.

        Raises: ConfigError for an unknown key, a wrong type or a broken rule, in one line.
        """
        _refuse_unknown_keys(cls, values)
        return cls._validated(_as_saved(cls, values))

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """A copy with settings replaced by dotted path, e.g. `{"optimizer.beta1": 0.0}`.

        Settings of this one that have no effect beside a new choice take their defaults.

        Raises: ConfigError for a path that names no setting, a wrong type or a broken rule, and for a given
        setting that has no effect.
        """
        # again: what is given here is not dropped in silence
        return self._validated(_replaced(self._with_effective(values), values))

    def with_searched(self, values: Mapping[str, Any]) -> Self:
        """The same for values that a search chose: those without effect take their defaults.

        A new space that searches a setting where it has no effect is refused; an older one may do so.
        """
        return self._validated(self._with_effective(values))

    def _with_effective(self, values: Mapping[str, Any]) -> dict[str, Any]:
        known = setting_paths(type(self))
        for path in values:
            require(path in known, f"{path} is not a setting; the settings are {', '.join(known)}")
        return _as_saved(type(self), _replaced(self.to_dict(), values))

    def value(self, path: str) -> Any:
        """The setting at a dotted path."""
        found: Any = self
        for name in path.split("."):
            found = getattr(found, name)
        return found

    @staticmethod
    def name_in_messages(path: str) -> str:
        """What errors call the setting at a dotted path."""
        return path or "the configuration"

    @classmethod
    def _validated(cls, values: Mapping[str, Any]) -> Self:
        try:
            config: Self = _adapter(cls).validate_python(values)
        except pydantic.ValidationError as error:
            raise ConfigError(cls._first_problem(error)) from None
        return config

    @classmethod
    def _first_problem(cls, error: pydantic.ValidationError) -> str:
        problem = error.errors()[0]
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            return str(cause)
        path = ".".join(str(part) for part in problem["loc"] if part in _all_names(cls))
        rule = problem["msg"].partition(", unable to parse")[0].replace("Input should be", "it must be", 1)
        return (
            f"{cls.name_in_messages(path)} is wrong: {rule}, not {problem['input']!r}; "
            "see --help for its values"
        )


def setting_paths(config_class: type) -> tuple[str, ...]:
    """Every setting of a configuration class as a dotted path, in order of definition."""
    paths: list[str] = []
    for field in dataclasses.fields(config_class):
        part = _part(field)
        if part is not None:
            paths += [f"{field.name}.{path}" for path in setting_paths(part)]
        else:
            paths.append(field.name)
    return tuple(paths)


def _all_names(config_class: type) -> set[str]:
    # pydantic's locations also name its own wrappers, such as `function-after`
    return {name for path in setting_paths(config_class) for name in path.split(".")}


def _refuse_unknown_keys(config_class: type, values: Any, prefix: str = "") -> None:
    # pydantic ignores extra keys of a standard dataclass unless each class carries its setting
    where = prefix.removesuffix(".") or "the configuration"
    require(isinstance(values, Mapping), f"{where} must be a table, not {values!r}")
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    for key, value in values.items():
        require(key in fields, f"{prefix}{key} is not a setting; known here: {', '.join(fields)}")
        part = _part(fields[key])
        if part is not None:
            _refuse_unknown_keys(part, value, f"{prefix}{key}.")


def _replaced(nested: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The nested values, in place, with those at dotted paths replaced."""
    for path, value in values.items():
        *parents, leaf = path.split(".")
        part = nested
        for parent in parents:
            part = part[parent]
        part[leaf] = value
    return nested


def _as_saved(config_class: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with what complete, so saved, settings mean by lacking some, and without those unused."""
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    later: dict[str, Any] = {}
    for each in config_class.__mro__:
        later |= vars(each).get("EARLIER", {})
    owners: Owners | None = getattr(config_class, "OWNERS", None)
    unused = owners.unused(values.get(owners.chooser)) if owners else ()
    complete = dict(values)
    if all(name in values for name in fields if name not in later and name not in unused):
        complete = {name: value for name, value in (later | complete).items() if name not in unused}
    parts = {name: _part(fields[name]) for name in complete}
    return {
        name: value if (part := parts[name]) is None else _as_saved(part, value)
        for name, value in complete.items()
    }


def _part(field: dataclasses.Field[Any]) -> type | None:
    """The dataclass that a field holds, None for a plain setting."""
    kind = typing.get_args(field.type)[0] if typing.get_origin(field.type) is Annotated else field.type
    return kind if isinstance(kind, type) and dataclasses.is_dataclass(kind) else None


def check_distinct(settings_classes: Iterable[type]) -> None:
    """Raise `TypeError` when two dataclasses have a setting of the same name: one would replace the other."""
    owners: dict[str, str] = {}
    for settings in settings_classes:
        for field in dataclasses.fields(settings):
            first = owners.setdefault(field.name, settings.__module__)
            if first != settings.__module__:
                raise TypeError(f"{first} and {settings.__module__} both have {field.name}; rename one")


def check_rules(config: Any, classes: Iterable[type]) -> None:
    """Run the rules of the settings classes that a configuration inherits from."""
    for settings in classes:
        if hasattr(settings, "__post_init__"):
            settings.__post_init__(config)
