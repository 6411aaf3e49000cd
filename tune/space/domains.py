"""The domain of one searched setting: a range or a list of values, and its rules."""

import dataclasses
import math
import random
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

import optuna

from common.errors import require
from common.settings import setting_paths
from gan.config import GanConfig

Value = float | int | str | bool
Condition = Mapping[str, tuple[Value, ...]]

# Settings that decide what is compared and for how long: trials that differ in them cannot be ranked.
_COMPARED = ("data.", "evaluation.", "stopping.", "images", "images_per_tick")


@dataclasses.dataclass(frozen=True)
class Float:
    """Numbers from `low` to `high`, both included; with a `step`, only multiples of it above `low`."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: Condition = dataclasses.field(default_factory=dict)

    def suggest(self, trial: optuna.Trial, path: str) -> float:
        """Ask an Optuna trial for a value."""
        return float(trial.suggest_float(path, self.low, self.high, log=self.log, step=self.step))

    def extremes(self) -> tuple[Value, ...]:
        """Values such that the setting accepts the whole domain if it accepts them."""
        return (self.low, self.high)

    def nearest(self, value: Value) -> Value:
        """The value of the domain that is nearest to a number."""
        clamped = min(max(float(value), self.low), self.high)
        if self.step is not None:
            clamped = min(self.low + round((clamped - self.low) / self.step) * self.step, self.high)
        return clamped

    def sample(self) -> Value:
        """A random value from Python's own generator, from which population based training draws as well."""
        if self.log:
            drawn = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = random.uniform(self.low, self.high)
        return self.nearest(drawn)


@dataclasses.dataclass(frozen=True)
class Int:
    """Whole numbers from `low` to `high`, both included, in multiples of `step` above `low`."""

    low: int
    high: int
    log: bool = False
    step: int = 1
    when: Condition = dataclasses.field(default_factory=dict)

    def suggest(self, trial: optuna.Trial, path: str) -> int:
        """Ask an Optuna trial for a value."""
        return int(trial.suggest_int(path, self.low, self.high, log=self.log, step=self.step))

    def extremes(self) -> tuple[Value, ...]:
        """Values such that the setting accepts the whole domain if it accepts them, divisibility included."""
        return (self.low, self.low + self.step, self.high)

    def nearest(self, value: Value) -> Value:
        """The value of the domain that is nearest to a number."""
        steps = round((min(max(float(value), self.low), self.high) - self.low) / self.step)
        return self.low + steps * self.step

    def sample(self) -> Value:
        """A random value from Python's own generator, from which population based training draws as well."""
        if self.log:
            return self.nearest(math.exp(random.uniform(math.log(self.low), math.log(self.high))))
        return random.randrange(self.low, self.high + 1, self.step)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of a list of values."""

    values: tuple[Value, ...]
    when: Condition = dataclasses.field(default_factory=dict)

    def suggest(self, trial: optuna.Trial, path: str) -> Value:
        """Ask an Optuna trial for a value."""
        return typing.cast(Value, trial.suggest_categorical(path, self.values))

    def extremes(self) -> tuple[Value, ...]:
        """Every value."""
        return self.values

    def nearest(self, value: Value) -> Value:
        """The value itself if it is one of the choices, else the nearest number or the first choice.

        Positive numbers are compared by their ratio: of the rates 4e-4 and 1e-9 the first is nearer to 2e-4.
        """
        if value in self.values or not self.is_numeric() or not _is_number(value):
            return value if value in self.values else self.values[0]
        are_positive = min(float(number) for number in (value, *self.values)) > 0
        scale: Callable[[float], float] = math.log if are_positive else float
        return min(self.values, key=lambda choice: abs(scale(float(choice)) - scale(float(value))))

    def is_numeric(self) -> bool:
        """Whether all choices are numbers, so that neighbours are similar."""
        return all(_is_number(value) for value in self.values)


Domain = Float | Int | Choice


def setting_type(path: str) -> Any:
    """The declared type of a setting, without annotations: float, int, bool, str or a Literal."""
    found: Any = GanConfig
    for name in path.split("."):
        found = typing.get_type_hints(found)[name]
    return found


def check_setting(path: str) -> None:
    """Raise `ConfigError` unless the path names a setting that may be searched."""
    known = setting_paths(GanConfig)
    require(path in known, f"{path} is not a setting; the settings are {', '.join(known)}")
    require(
        not is_among(path, _COMPARED),
        f"{path} cannot be searched: trials that differ in it cannot be compared; set it for the whole sweep",
    )


def check_domain(path: str, domain: Domain) -> None:
    """Raise `ConfigError` unless the setting may be searched and the domain suits its type."""
    check_setting(path)
    kind = setting_type(path)
    if isinstance(domain, Choice):
        _check_choices(path, domain.values, kind)
    else:
        _check_range(path, domain, kind)


def _check_choices(path: str, values: tuple[Value, ...], kind: Any) -> None:
    require(len(values) > 0, f"{path} needs at least one of values, not []; leave it out of the space")
    require(len(set(values)) == len(values), f"{path} has a value twice in {list(values)}; remove one")
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        wrong = [value for value in values if value not in choices]
        require(not wrong, f"{path} cannot be {wrong[:1]}; choose among {', '.join(map(str, choices))}")
        return
    for value in values:
        fits = _is_number(value) if kind is float else type(value) is kind
        require(fits, f"{path} takes {_NAMES.get(kind, 'text')}, not {value!r}; correct its values")


def _check_range(path: str, domain: Float | Int, kind: Any) -> None:
    require(kind in (float, int), f"{path} is not a number and has no low and high; give it values = [...]")
    numbers = [domain.low, domain.high] + ([] if domain.step is None else [domain.step])
    for number in numbers:
        fits = _is_number(number) and (kind is float or isinstance(number, int))
        require(fits, f"{path} takes {_NAMES[kind]}, not {number!r}; correct its low, high and step")
    require(
        isinstance(domain, Float) == (kind is float),
        f"{path} takes {_NAMES[kind]}; search it as {'Float' if kind is float else 'Int'}",
    )
    require(domain.low < domain.high, f"{path} needs low below high, not {domain.low} and {domain.high}")
    require(
        not domain.log or domain.low > 0,
        f"{path} needs low above 0 for log = true, not {domain.low}; raise it or leave log out",
    )
    plain = domain.step is None or (isinstance(domain, Int) and domain.step == 1)
    require(plain or not domain.log, f"{path} cannot have both log and step; leave one out")
    require(domain.step is None or domain.step > 0, f"{path} needs a step above 0, not {domain.step}")
    steps = 1.0 if domain.step is None else (domain.high - domain.low) / domain.step
    require(
        domain.step is None or abs(steps - round(steps)) < 1e-6,
        f"{path} needs high to be low plus a multiple of step {domain.step}, not {domain.high}",
    )


def is_value_of(domain: Domain, value: Value) -> bool:
    """Whether a list or a range of whole numbers contains this value."""
    if isinstance(domain, Choice):
        return value in domain.values
    return type(value) is int and domain.nearest(value) == value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_among(path: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a path is one of the names, or begins with one that ends in a dot."""
    return any(path == prefix or (prefix.endswith(".") and path.startswith(prefix)) for prefix in prefixes)


_NAMES = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
