"""Which settings decide what: a network, a picture's targets, the result; pure, no network is loaded here."""

import dataclasses
from typing import Any, NamedTuple

from styletransfer.config import StyleConfig
from styletransfer.pictures.writing import Format
from styletransfer.planning.pairs import Kind
from styletransfer.planning.staleness import hash_settings


class NetworkKey(NamedTuple):
    """What tells networks apart."""

    features: str
    weights: str | None
    pooling: str | None
    last_tap: str


# what the features of a picture, at every scale, follow from
_LOOKING = ("size", "scales", "colours", "features", "weights", "pooling", "precision")
_OF_KIND: dict[Kind, tuple[str, ...]] = {
    "content": (*_LOOKING, "content_layers"),
    "style": (*_LOOKING, "style_layers", "style_scale"),
    "mask": ("size",),
    "start": ("size",),
}
# no picture depends on them: tiles give the same result, and weights count by what is in them
_WITHOUT_EFFECT = {"tile", "weights", "start"}


def network_key(config: StyleConfig) -> NetworkKey:
    """The network that a configuration looks through."""
    return NetworkKey(config.features, config.weights, config.pooling, config.last_tap())


def prepared_key(config: StyleConfig, kind: Kind) -> str:
    """Equal for configurations that can share what is prepared of a picture of that kind."""
    return hash_settings({name: getattr(config, name) for name in _OF_KIND[kind]})


def settings_hash(config: StyleConfig, *, start_digest: str, quality: int | None) -> str:
    """What a rerun compares: equal for settings that give the same files; the weights are compared apart.

    quality: of formats that lose something, else None.
    """
    settings: dict[str, Any] = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in _WITHOUT_EFFECT
    }
    start = start_digest or config.start
    return hash_settings({**settings, "scales": config.scale_shares(), "start": start, "quality": quality})


def is_lossy(format: Format) -> bool:
    """Whether a quality is chosen for the format."""
    return format in ("jpeg", "webp")
