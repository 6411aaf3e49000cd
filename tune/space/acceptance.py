"""Whether the base settings accept all that a space can propose, checked before a sweep."""

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import get_type_hints

from common.errors import ConfigError, require
from common.owners import Owners
from gan.config import GanConfig
from gan.networks import family_of
from tune.space.domains import Choice, Value
from tune.space.space import Space


def check_accepts(
    space: Space, base: GanConfig, worker_counts: Sequence[int] = (1,), *, is_new: bool = True
) -> None:
    """Raise `ConfigError` unless the base accepts the extremes of the space, for these workers a trial.

    is_new: also that each setting has an effect wherever it is searched.
    """
    if is_new:
        _check_effect(space)
    for values in extreme_values(space):
        try:
            config = base.with_values(values) if is_new else base.with_searched(values)
            family_of(config.network, config.data.resolution)
            for count in worker_counts:
                config.check_workers(count)
        except ConfigError as error:
            where = ", ".join(f"{path} = {value}" for path, value in values.items())
            raise ConfigError(f"the search space has {where}, which is refused: {error}") from None


def extreme_values(space: Space) -> Iterator[dict[str, Value]]:
    """Each setting at its extremes alone; then, beside each named choice, all at their lows and highs.

    A conditional setting comes with each choice of the others that its `when` allows, and all those settings
    come together that are searched then: a trial never has the others.
    """
    choices: list[dict[str, Value]] = []
    for path, domain in space.items():
        for way in _ways_to_search(space, path):
            alone = [{**way, path: value} for value in domain.extremes()]
            yield from alone
            is_named = isinstance(domain, Choice) and not domain.is_numeric()
            choices += [choice for choice in (way, *(alone if is_named else ())) if choice not in choices]
    for choice in choices:
        for end in (0, -1):
            values: dict[str, Value] = {}
            for path, domain in space.items():
                if space.is_active(path, values):
                    values[path] = choice.get(path, domain.extremes()[end])
            yield values


def _ways_to_search(space: Space, path: str) -> list[dict[str, Value]]:
    """All values of other settings with which a setting is searched; one empty choice without a `when`."""
    when = space[path].when
    choices: list[dict[str, Value]] = []
    for allowed in itertools.product(*when.values()):
        direct = dict(zip(when, allowed, strict=True))
        befores = itertools.product(*(_ways_to_search(space, other) for other in when))
        for before in befores:
            indirect = {other: value for choice in before for other, value in choice.items()}
            choices.append({**indirect, **direct})
    return [choice for choice in choices if all(space.is_active(other, choice) for other in choice)]


def _check_effect(space: Space) -> None:
    """Raise `ConfigError` for a setting that is searched also beside choices that it does not belong to.

    That is where the choice is searched, too, so that a `when` is what is missing.
    """
    sections = get_type_hints(GanConfig)
    for path in space:
        section, _, name = path.rpartition(".")
        owners: Owners | None = getattr(sections.get(section), "OWNERS", None)
        if owners is None or name not in owners.choices:
            continue
        chooser = f"{section}.{owners.chooser}"
        beside = _searched_beside(space, path, chooser)
        belongs = [value for value in beside if name not in owners.unused(value)]
        others = [value for value in beside if value not in belongs]
        require(
            not belongs or not others,
            f"{path} is searched where {chooser} is {' or '.join(map(str, others))}, too, and has no effect "
            f'there; give it when = {{ "{chooser}" = {json.dumps(belongs)} }}',
        )


def _searched_beside(space: Space, path: str, chooser: str) -> list[Value]:
    """The choices of `chooser` with which a setting is searched; none where the chooser is not searched."""
    if chooser not in space:
        return []
    ways = _ways_to_search(space, path)
    return [
        value for value in space[chooser].extremes() if any(way.get(chooser, value) == value for way in ways)
    ]
