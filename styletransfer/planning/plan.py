"""The plan of a batch: which pairs are stylized, why, under which names and in which order."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from common.errors import ConfigError
from common.storage.folder import Folder
from common.text import printable
from styletransfer.pictures.writing import SUFFIX, format_of, read_settings
from styletransfer.planning.batch_request import BatchRequest
from styletransfer.planning.estimate import style_bytes
from styletransfer.planning.manifest import Entry, read_manifest
from styletransfer.planning.output_names import assign_names
from styletransfer.planning.pairs import Kind, Need, Pair
from styletransfer.planning.staleness import (
    Reason,
    is_lossy,
    network_key,
    prepared_key,
    settings_hash,
    stale_pairs,
)

# prepared styles are small; each is kept until every content has been stylized with it
_MOST_STYLES_AT_ONCE = 64
_STYLES_BYTES = 512 * 2**20


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What a batch will do."""

    request: BatchRequest
    outputs: Mapping[Pair, str]
    """Name of every pair's picture, in the order of the contact sheet."""
    reasons: Mapping[Pair, Reason]
    """Why a pair must be stylized, in the same order; pairs that are up to date are absent."""
    stale: Sequence[Pair]
    """The pairs of `reasons`, in the order in which they are stylized."""
    styles_at_once: int
    """How many styles that order needs at a time."""
    content_digests: Mapping[str, str]
    style_digests: Mapping[str, str]
    settings_hashes: Mapping[str, str]
    weights_hashes: Mapping[str, str]
    seconds_before: Mapping[str, float]
    """Mean seconds per pair in earlier runs, by variant, for variants that ran with these settings."""

    def needs(self, pair: Pair) -> tuple[Need, ...]:
        """The prepared pictures that a pair needs."""
        inputs, config = self.request.inputs, self.request.variants[pair.variant]
        names: dict[Kind, str] = {"content": pair.content, "style": pair.style}
        if pair.content in inputs.mask_of:
            names["mask"] = inputs.mask_of[pair.content]
        if inputs.start is not None:
            names["start"] = inputs.start.names[0]
        return tuple(Need(kind, name, prepared_key(config, kind)) for kind, name in names.items())


def make_plan(request: BatchRequest) -> BatchPlan:
    """Compare a request with what the output folder holds; nothing is written.

    Raises: ConfigError when the folder cannot be read, or when a file that was not made here has the name of
    an output.
    """
    inputs, variants = request.inputs, request.variants
    entries = read_manifest(request.out)
    present = {file.name for file in request.out.list_files()}
    pairs = [pair._replace(variant=variant) for pair in inputs.pairs for variant in variants]
    outputs = assign_names(
        pairs,
        SUFFIX[request.format],
        earlier={pair: entry.output for pair, entry in entries.items()},
        asked=inputs.asked,
    )
    hashes = _settings_hashes(request)
    digests = {key: network.digest for key, network in request.networks.items()}
    known = {
        "content_digests": inputs.content_digests(),
        "style_digests": inputs.style_digests(),
        "settings_hashes": hashes,
        "weights_hashes": {variant: digests[network_key(config)] for variant, config in variants.items()},
    }
    _refuse_foreign_files(
        request.out, (set(outputs.values()) & present) - {entry.output for entry in entries.values()}
    )
    reasons: dict[Pair, Reason] = (
        dict.fromkeys(outputs, "asked for")
        if request.redo
        else stale_pairs(outputs, entries, present=present, **known)
    )
    styles_at_once = _styles_at_once(request)
    return BatchPlan(
        request=request,
        outputs=outputs,
        reasons=reasons,
        stale=in_blocks(reasons, styles_at_once),
        styles_at_once=styles_at_once,
        seconds_before=_mean_seconds(entries.values(), hashes),
        **known,
    )


def in_blocks(pairs: Iterable[Pair], styles_at_once: int) -> list[Pair]:
    """Order pairs so that at most `styles_at_once` styles are needed at a time, contents one after another.

    With no more styles than that, each picture is prepared once; with more, each style is prepared once and
    each content once per block of styles.
    """
    pairs = list(pairs)
    contents = _positions(pair.content for pair in pairs)
    styles = _positions(pair.style for pair in pairs)
    variants = _positions(pair.variant for pair in pairs)
    return sorted(
        pairs,
        key=lambda pair: (
            styles[pair.style] // styles_at_once,
            contents[pair.content],
            styles[pair.style],
            variants[pair.variant],
        ),
    )


def _positions(names: Iterable[str]) -> dict[str, int]:
    return {name: position for position, name in enumerate(dict.fromkeys(names))}


def _settings_hashes(request: BatchRequest) -> dict[str, str]:
    formats = {request.format, *map(format_of, request.inputs.asked.values())}
    start_digest = request.inputs.start_digest()
    return {
        variant: settings_hash(
            config,
            start_digest=start_digest,
            quality=request.quality if any(map(is_lossy, formats)) else None,
        )
        for variant, config in request.variants.items()
    }


def _refuse_foreign_files(out: Folder, names: Iterable[str]) -> None:
    """Raise `ConfigError` for a file that this program did not make: it would be overwritten.

    A picture made here may be missing in the manifest: the batch was killed between writing the two.
    """
    for name in sorted(names):
        try:
            read_settings(out.read(name) or b"")
        except ConfigError:
            raise ConfigError(
                f"{out.path(printable(name))} is in the way of a picture and was not made here; move it away "
                "or name another folder"
            ) from None


def _styles_at_once(request: BatchRequest) -> int:
    sizes = {
        prepared_key(config, "style"): style_bytes(config, request.network(variant))
        for variant, config in request.variants.items()
    }
    return max(1, min(_MOST_STYLES_AT_ONCE // len(sizes), _STYLES_BYTES // sum(sizes.values())))


def _mean_seconds(entries: Iterable[Entry], hashes: Mapping[str, str]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {}
    for entry in entries:
        if entry.state == "done" and entry.seconds:
            seconds.setdefault(entry.settings_hash, []).append(entry.seconds)
    return {
        variant: sum(seconds[key]) / len(seconds[key]) for variant, key in hashes.items() if key in seconds
    }
