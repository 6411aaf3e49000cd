"""The search space as data: the domains of the searched settings of a GanConfig, and their conditions."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import optuna

from common.errors import ConfigError, require
from gan.config import GanConfig
from tune.space.domains import (
    Choice,
    Condition,
    Domain,
    Float,
    Int,
    Value,
    check_domain,
    is_among,
    is_value_of,
)

__all__ = [
    "Choice",
    "Float",
    "Int",
    "Space",
    "baseline",
    "clip",
    "moved_settings",
    "suggest",
    "to_mutations",
]

# Settings that a running trial cannot change: they decide shapes, order of data, how the step is compiled or
# how the discriminator normalizes.
_FIXED_IN_A_RUN = ("network.", "batch", "seed", "precision", "compile", "regularization.r1")


@dataclasses.dataclass(frozen=True)
class Space(Mapping[str, Domain]):
    """Searched settings by dotted path, each after the settings that its `when` names.

    Raises: ConfigError for an unknown or unsearchable setting, an empty or wrong domain, a `when` that names
    a setting or a value that is not searched, or conditions that form a circle.
    """

    domains: Mapping[str, Domain]

    def __post_init__(self) -> None:
        require(bool(self.domains), "the search space names no setting; see --print-space for an example")
        for path, domain in self.domains.items():
            check_domain(path, domain)
        for path, domain in self.domains.items():
            _check_condition(path, domain.when, self.domains)
        object.__setattr__(self, "domains", {path: self.domains[path] for path in _in_order(self.domains)})

    def __getitem__(self, path: str) -> Domain:
        return self.domains[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.domains)

    def __len__(self) -> int:
        return len(self.domains)

    def is_active(self, path: str, values: Mapping[str, Any]) -> bool:
        """Whether a setting is searched, given the values of the settings before it."""
        return all(values.get(other) in allowed for other, allowed in self[path].when.items())


def suggest(space: Space, trial: optuna.Trial) -> dict[str, Value]:
    """Ask an Optuna trial for a value of every setting whose condition is true; omits the others."""
    values: dict[str, Value] = {}
    for path, domain in space.items():
        if space.is_active(path, values):
            values[path] = domain.suggest(trial, path)
    return values


def baseline(space: Space, base: GanConfig) -> dict[str, Value]:
    """The base's own values of the searched settings, each moved to the nearest value of the space."""
    values: dict[str, Value] = {}
    for path, domain in space.items():
        if space.is_active(path, values):
            values[path] = domain.nearest(base.value(path))
    return values


def moved_settings(space: Space, base: GanConfig) -> list[str]:
    """What `baseline` changed: `optimizer.beta1 0.9 instead of 0.95` for each setting outside the space."""
    return [
        f"{path} {value} instead of {base.value(path)}"
        for path, value in baseline(space, base).items()
        if value != base.value(path)
    ]


def clip(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, each searched one moved to the nearest value of its domain; other keys unchanged."""
    return {key: space[key].nearest(value) if key in space else value for key, value in values.items()}


def to_mutations(space: Space) -> dict[str, Callable[[], Value] | list[Value]]:
    """Settings that population based training may change within a run: the unconditional numeric ones.

    Ranges become functions that draw a value, numeric choices become sorted lists. Pass them to Ray's
    `hyperparam_mutations`, and `clip` as its `custom_explore_fn`, since it also multiplies by 0.8 or 1.2.

    Raises: ConfigError when there is none.
    """
    mutations: dict[str, Callable[[], Value] | list[Value]] = {}
    for path, domain in space.items():
        if domain.when or is_among(path, _FIXED_IN_A_RUN):
            continue
        if not isinstance(domain, Choice):
            mutations[path] = domain.sample
        elif domain.is_numeric():
            mutations[path] = sorted(domain.values)
    require(
        bool(mutations),
        "--scheduler pbt needs a searched number that may change within a run, without a when; "
        "add optimizer.generator_lr to the space",
    )
    return mutations


def _check_condition(path: str, when: Condition, domains: Mapping[str, Domain]) -> None:
    for other, allowed in when.items():
        require(
            other in domains, f"{path} has when = {other}, which is not searched; add it or drop the when"
        )
        domain = domains[other]
        require(
            not isinstance(domain, Float),
            f"{path} has when = {other}, which is a range; a when must name a setting that has values",
        )
        require(len(allowed) > 0, f"{path} has an empty when for {other}, so it is never searched; drop it")
        wrong = [value for value in allowed if not is_value_of(domain, value)]
        require(
            not wrong, f"{path} has when {other} = {wrong[:1]}, which is not one of its values; correct it"
        )


def _in_order(domains: Mapping[str, Domain]) -> list[str]:
    # in the written order, except that a setting follows those that its `when` names
    done: list[str] = []
    waiting = list(domains)
    while waiting:
        ready = next((path for path in waiting if all(other in done for other in domains[path].when)), None)
        if ready is None:
            raise ConfigError(
                f"the conditions (when) of {' and '.join(waiting)} form a circle; drop one of them"
            )
        waiting.remove(ready)
        done.append(ready)
    return done
