"""The plan of a batch: which pairs are stylized, why, under which names and in which order."""

import dataclasses
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

from styletransfer.pictures.writing import SUFFIX, format_of
from styletransfer.planning.batch_request import BatchRequest
from styletransfer.planning.estimate import style_bytes
from styletransfer.planning.foreign_files import refuse_foreign_files, refuse_other_sources
from styletransfer.planning.manifest import Entry, read_manifest
from styletransfer.planning.output_names import assign_names
from styletransfer.planning.pairs import Kind, Need, Pair
from styletransfer.planning.reuse import PictureKey, find_reusable
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
    replaced: Sequence[str]
    """Finished pictures that will be overwritten."""
    reusable: Mapping[Pair, Entry]
    """Stale pairs whose picture is in the folder under another name or format, with its entry."""
    kept: Mapping[Pair, str]
    """Finished pictures of pairs that are not asked for now."""
    content_digests: Mapping[str, str]
    style_digests: Mapping[str, str]
    sources: Mapping[str, str]
    """Keys of the folders of contents and styles."""
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

    def entry(self, pair: Pair, *, error: str | None = None, notes: tuple[str, ...] = ()) -> Entry:
        """The pair's line in the manifest: failed by `error`, or done, as far as known beforehand."""
        return Entry(
            **pair._asdict(),
            output=self.outputs[pair],
            state="done" if error is None else "failed",
            error=error,
            notes=notes,
            seed=self.request.variants[pair.variant].seed,
            content_digest=self.content_digests[pair.content],
            style_digest=self.style_digests[pair.style],
            settings_hash=self.settings_hashes[pair.variant],
            weights_hash=self.weights_hashes[pair.variant],
            content_source=self.sources["content"],
            style_source=self.sources["style"],
        )

    def why(self) -> str:
        """`20 new, 5 settings changed`: the reasons with their numbers of pairs, the most frequent first."""
        counts = Counter(self.reasons.values()).most_common()
        return ", ".join(f"{count:,} {reason}" for reason, count in counts)


def make_plan(request: BatchRequest) -> BatchPlan:
    """Compare a request with what the output folder holds; nothing is written.

    Raises: ConfigError when the folder cannot be read, when a file that was not made here would be
    overwritten, and without `redo` when finished pictures of other files would be.
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
    sources = {kind: inputs.source_key(kind, request.out) for kind in ("content", "style")}
    refuse_foreign_files(request.out, outputs, entries, present)
    if not request.redo:
        refuse_other_sources(
            request.out,
            entries,
            present,
            pairs=outputs,
            digests={"content": known["content_digests"], "style": known["style_digests"]},
            sources=sources,
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
        replaced=[outputs[pair] for pair in reasons if outputs[pair] in present],
        reusable={}
        if request.redo
        else find_reusable(
            {pair: outputs[pair] for pair in reasons},
            entries,
            present,
            _picture_keys(reasons, request, known),
        ),
        kept=_kept(outputs, entries, present),
        sources=sources,
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


def _settings_hashes(request: BatchRequest, *, is_lossless: bool = False) -> dict[str, str]:
    """Hash of the settings of each variant; is_lossless: as if all formats were without loss."""
    formats = {request.format, *map(format_of, request.inputs.asked.values())}
    start_digest = request.inputs.start_digest()
    quality = request.quality if any(map(is_lossy, formats)) and not is_lossless else None
    return {
        variant: settings_hash(config, start_digest=start_digest, quality=quality)
        for variant, config in request.variants.items()
    }


def _picture_keys(
    pairs: Iterable[Pair], request: BatchRequest, known: Mapping[str, Mapping[str, str]]
) -> dict[Pair, tuple[PictureKey, PictureKey]]:
    lossless = _settings_hashes(request, is_lossless=True)

    def key(pair: Pair, hashes: Mapping[str, str]) -> PictureKey:
        return PictureKey(
            known["content_digests"][pair.content],
            known["style_digests"][pair.style],
            hashes[pair.variant],
            known["weights_hashes"][pair.variant],
        )

    return {pair: (key(pair, known["settings_hashes"]), key(pair, lossless)) for pair in pairs}


def _kept(
    outputs: Mapping[Pair, str], entries: Mapping[Pair, Entry], present: Container[str]
) -> dict[Pair, str]:
    now = set(outputs.values())
    return {
        pair: entry.output
        for pair, entry in entries.items()
        if pair not in outputs
        and entry.state == "done"
        and entry.output in present
        and entry.output not in now
    }


def _styles_at_once(request: BatchRequest) -> int:
    largest = max((len(names) for names in request.inputs.blends.values()), default=1)
    sizes = {
        prepared_key(config, "style"): largest * style_bytes(config, request.network(variant))
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
