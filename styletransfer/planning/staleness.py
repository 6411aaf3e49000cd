"""Which pairs a batch has to do, decided from what is known; pure."""

import hashlib
import json
from collections.abc import Container, Mapping
from typing import Any, Literal

from styletransfer.planning.manifest import Entry
from styletransfer.planning.pairs import Pair

Reason = Literal[
    "new", "failed before", "renamed", "file gone", "content changed", "style changed", "settings changed",
    "weights changed",
]  # fmt: skip


def todo(
    outputs: Mapping[Pair, str],
    entries: Mapping[Pair, Entry],
    *,
    content_digests: Mapping[str, str],
    style_digests: Mapping[str, str],
    settings_hashes: Mapping[str, str],
    weights_hash: str,
    present: Container[str],
) -> dict[Pair, Reason]:
    """The pairs of `outputs` (pair -> name of its picture) that are to do, each with the first reason.

    `settings_hashes` is by variant. `present` holds the names of the files in the output folder.
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
        elif entry.weights_hash != weights_hash:
            reasons[pair] = "weights changed"
        elif entry.output != output:
            reasons[pair] = "renamed"
        elif output not in present:
            reasons[pair] = "file gone"
    return reasons


def hash_settings(settings: Mapping[str, Any]) -> str:
    """Hex; equal for equal settings, in whatever order and process."""
    text = json.dumps(settings, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
