"""Which pairs are missing or out of date, and which settings that depends on."""

import dataclasses
import hashlib
import json
from collections.abc import Container, Mapping
from typing import Any, Literal, NamedTuple

from styletransfer.config import StyleConfig
from styletransfer.pictures.writing import Format
from styletransfer.planning.manifest import Entry
from styletransfer.planning.pairs import Kind, Pair

Reason = Literal[
    "asked for", "new", "failed before", "renamed", "file gone", "content changed", "style changed",
    "settings changed", "weights changed",
]  # fmt: skip

# Settings that were added later count only where they differ from what earlier versions did: pictures of
# earlier batches stay up to date.
_ADDED_LATER = {"size_of": "longer"}
# settings that decide what the network sees in a picture, at every scale
_NETWORK_SETTINGS = ("size", "size_of", "scales", "colours", "features", "weights", "pooling", "precision")
_SETTINGS_OF_KIND: dict[Kind, tuple[str, ...]] = {
    "content": (*_NETWORK_SETTINGS, "content_layers"),
    "style": (*_NETWORK_SETTINGS, "style_layers", "style_scale"),
    "mask": ("size", "size_of"),
    "start": ("size", "size_of"),
}
# A change of these alone makes no picture stale: tiles do not change the result; of the weights and of a
# start from a file the bytes are compared, not the names.
WITHOUT_EFFECT = frozenset({"tile", "weights", "start"})


class NetworkKey(NamedTuple):
    """The settings that decide which network is loaded."""

    features: str
    weights: str | None
    pooling: str | None
    last_tap: str


def stale_pairs(
    outputs: Mapping[Pair, str],
    entries: Mapping[Pair, Entry],
    *,
    content_digests: Mapping[str, str],
    style_digests: Mapping[str, str],
    settings_hashes: Mapping[str, str],
    weights_hashes: Mapping[str, str],
    present: Container[str],
) -> dict[Pair, Reason]:
    """The pairs that must be stylized, in the order of `outputs`, each with the first reason that applies.

    outputs: pair -> name of its picture. entries: last manifest entry of each pair. settings_hashes and
    weights_hashes: by variant. present: names of the files in the output folder.
    """
    reasons: dict[Pair, Reason] = {}
    for pair, output in outputs.items():
        entry = entries.get(pair)
        if entry is None:
            reasons[pair] = "new"
        elif entry.state == "failed":
            reasons[pair] = "failed before"
        elif entry.content_digest != content_digests[pair.content]:
            reasons[pair] = "content changed"
        elif entry.style_digest != style_digests[pair.style]:
            reasons[pair] = "style changed"
        elif entry.settings_hash != settings_hashes[pair.variant]:
            reasons[pair] = "settings changed"
        elif entry.weights_hash != weights_hashes[pair.variant]:
            reasons[pair] = "weights changed"
        elif entry.output != output:
            reasons[pair] = "renamed"
        elif output not in present:
            reasons[pair] = "file gone"
    return reasons


def network_key(config: StyleConfig) -> NetworkKey:
    """The network that a configuration uses."""
    return NetworkKey(config.features, config.weights, config.pooling, config.last_tap())


def prepared_key(config: StyleConfig, kind: Kind) -> str:
    """Equal for configurations that can share a prepared picture of that kind."""
    return hash_settings({name: getattr(config, name) for name in _SETTINGS_OF_KIND[kind]})


def settings_hash(config: StyleConfig, *, start_digest: str, quality: int | None) -> str:
    """Equal for settings that give the same files; weights are compared separately.

    quality: of lossy formats, else None.
    """
    settings: dict[str, Any] = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in WITHOUT_EFFECT
        and getattr(config, field.name) != _ADDED_LATER.get(field.name, ...)
    }
    start = start_digest or config.start
    return hash_settings({**settings, "scales": config.scale_shares(), "start": start, "quality": quality})


def is_lossy(format: Format) -> bool:
    """Whether the format has a quality setting."""
    return format in ("jpeg", "webp")


def hash_settings(settings: Mapping[str, Any]) -> str:
    """Hex digest, equal for equal settings in any order and any process."""
    text = json.dumps(settings, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
