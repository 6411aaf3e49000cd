"""What is said of a run before it begins: what its family remarks, and which settings have no effect."""

import dataclasses
from collections.abc import Collection, Iterator
from typing import Any

from gan.config import GanConfig
from gan.networks.families import FAMILIES
from gan.training.losses import LOSSES
from gan.training.regularization import REGULARIZERS


def remarks(config: GanConfig, searched: Collection[str] = ()) -> list[str]:
    """A sentence each. searched: settings by dotted path that trials of a sweep have other values of."""
    return [*FAMILIES[config.network.family].remarks(config), *_without_effect(config, searched)]


def _without_effect(config: GanConfig, searched: Collection[str]) -> Iterator[str]:
    """Settings that a regularizer or the loss does not look at, where they are not at their defaults.

    They are not refused, since a search may move to and fro between losses and switch regularizers off.
    """
    settings = config.regularization
    for name in REGULARIZERS:
        for detail, switch in REGULARIZERS[name].details.items():
            is_off = not _is_changed(settings, switch) and f"regularization.{switch}" not in searched
            if is_off and _is_changed(settings, detail):
                yield f"{_given(settings, detail)} has no effect without {_flag(switch)}"
    loss = LOSSES[config.loss.name]
    used = {"gradient_penalty": loss.penalty is not None, "label_smoothing": loss.smooths}
    for name, is_used in used.items():
        if not is_used and "loss.name" not in searched and _is_changed(config.loss, name):
            yield f"{_given(config.loss, name)} has no effect with --loss {config.loss.name}"


def _is_changed(settings: Any, name: str) -> bool:
    """Whether a setting is not at its default."""
    default = next(field.default for field in dataclasses.fields(settings) if field.name == name)
    return bool(getattr(settings, name) != default)


def _given(settings: Any, name: str) -> str:
    value = getattr(settings, name)
    return f"{_flag(name)} {f'{value:g}' if isinstance(value, float) else value}"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
