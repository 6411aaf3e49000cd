"""What a batch will do, decided before it begins: which pairs, under which names, in which order; pure."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from common.errors import ConfigError, require
from common.storage.folder import Folder
from common.text import printable
from perceptual.loading import FeatureNetwork, load_network
from styletransfer.commands import PREVIEW_FOLDER, Batch
from styletransfer.config import StyleConfig
from styletransfer.pictures.writing import SUFFIX, Format, check_size, format_of, read_settings
from styletransfer.planning.estimate import style_bytes
from styletransfer.planning.inputs import Inputs, find_inputs
from styletransfer.planning.keys import NetworkKey, is_lossy, network_key, prepared_key, settings_hash
from styletransfer.planning.manifest import Entry, read_manifest
from styletransfer.planning.output_names import assign_names
from styletransfer.planning.pairs import Kind, Need, Pair
from styletransfer.planning.staleness import todo
from styletransfer.planning.variants import preview_of, variants_of
from styletransfer.transfer.features import Reader

# prepared styles are small, and each is kept until every content was drawn in it
_MOST_STYLES_AT_ONCE = 64
_STYLES_BYTES = 512 * 2**20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """A command, checked as far as can be without what was done before; nothing is written yet."""

    out: Folder
    inputs: Inputs
    variants: Mapping[str, StyleConfig]
    networks: Mapping[NetworkKey, FeatureNetwork]
    format: Format
    quality: int
    redo: bool

    def network(self, variant: str) -> FeatureNetwork:
        """What that variant looks through."""
        return self.networks[network_key(self.variants[variant])]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done."""

    request: Request
    outputs: Mapping[Pair, str]
    """Every pair's picture, in the order of the contact sheet."""
    reasons: Mapping[Pair, str]
    """Why a pair is to be drawn."""
    todo: Sequence[Pair]
    """The pairs of `reasons`, in the order in which they are drawn."""
    styles_at_once: int
    """How many styles that order needs at a time."""
    content_digests: Mapping[str, str]
    style_digests: Mapping[str, str]
    settings_hashes: Mapping[str, str]
    weights_hashes: Mapping[str, str]
    seconds_before: Mapping[str, float]
    """Mean seconds that a pair took in earlier runs, by variants that ran with these settings."""

    def needs(self, pair: Pair) -> tuple[Need, ...]:
        """What the pair is drawn from."""
        inputs, config = self.request.inputs, self.request.variants[pair.variant]
        names: dict[Kind, str] = {"content": pair.content, "style": pair.style}
        if pair.content in inputs.mask_of:
            names["mask"] = inputs.mask_of[pair.content]
        if inputs.start is not None:
            names["start"] = inputs.start.names[0]
        return tuple(Need(kind, name, prepared_key(config, kind)) for kind, name in names.items())


def make_request(command: Batch) -> Request:
    """Find the pictures and load the networks.

    Raises: ConfigError, one line, for whatever is wrong with the command, its pictures or the weights.
    """
    base = preview_of(command.style) if command.preview else command.style
    variants = variants_of(base, command.sweep)
    out = Folder(command.places[-1], flag="OUT")
    for config in variants.values():
        config.blend(1)
        require(
            config.optimizer == "adam" or command.batch <= 1,
            f"--batch {command.batch} needs --optimizer adam, not {config.optimizer}; leave --batch out",
        )
        check_size(command.format, (config.size, config.size))
        require(
            config.start_file() == base.start_file(),
            "--sweep start takes content, noise and gray, but no files; give the file by --start alone",
        )
    inputs = find_inputs(command.places, pairs=command.pairs, mask=command.mask, start=base.start_file())
    require(
        not (inputs.asked and command.sweep),
        "--sweep makes several pictures of a pair, and --pairs has a column output that names one; "
        "leave that column out",
    )
    networks: dict[NetworkKey, FeatureNetwork] = {}
    for config in variants.values():
        key = network_key(config)
        if key not in networks:
            networks[key] = load_network(
                config.features, weights=config.weights, pooling=config.pooling, last_tap=key.last_tap
            )
        Reader(networks[key], config.taps(), precision=config.precision)  # checks the layers
    return Request(
        out=out.child(PREVIEW_FOLDER) if command.preview else out,
        inputs=inputs,
        variants=variants,
        networks=networks,
        format=command.format,
        quality=command.quality,
        redo=command.redo,
    )


def make_plan(request: Request) -> Plan:
    """Compare what is asked for with what the output's folder holds.

    Raises: ConfigError when that cannot be read, or a file not made here lies where a picture belongs.
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
    start_digest = inputs.start_digest()
    formats = {request.format, *map(format_of, inputs.asked.values())}
    hashes = {
        variant: settings_hash(
            config,
            start_digest=start_digest,
            quality=request.quality if any(map(is_lossy, formats)) else None,
        )
        for variant, config in variants.items()
    }
    digests = {key: network.digest for key, network in request.networks.items()}
    plan = Plan(
        request=request,
        outputs=outputs,
        reasons={},
        todo=(),
        styles_at_once=_styles_at_once(request),
        content_digests=inputs.content_digests(),
        style_digests=inputs.style_digests(),
        settings_hashes=hashes,
        weights_hashes={variant: digests[network_key(config)] for variant, config in variants.items()},
        seconds_before=_mean_seconds(entries.values(), hashes),
    )
    _refuse_strangers(
        request.out, (set(outputs.values()) & present) - {entry.output for entry in entries.values()}
    )
    reasons = _reasons(plan, entries, present)
    return dataclasses.replace(plan, reasons=reasons, todo=in_blocks(reasons, plan.styles_at_once))


def in_blocks(pairs: Iterable[Pair], styles_at_once: int) -> list[Pair]:
    """Pairs in an order that needs at most `styles_at_once` styles at a time, and one content after another.

    With no more styles than that each picture is needed once; else each style once, and each content once a
    block of styles.
    """
    pairs = list(pairs)
    contents = _places(pair.content for pair in pairs)
    styles = _places(pair.style for pair in pairs)
    variants = _places(pair.variant for pair in pairs)
    return sorted(
        pairs,
        key=lambda pair: (
            styles[pair.style] // styles_at_once,
            contents[pair.content],
            styles[pair.style],
            variants[pair.variant],
        ),
    )


def _places(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _refuse_strangers(out: Folder, names: Iterable[str]) -> None:
    """Raise `ConfigError` for a file that is no picture of ours: it would be overwritten.

    One of ours may be missing in the manifest: a batch that was killed between the two.
    """
    for name in sorted(names):
        try:
            read_settings(out.read(name) or b"")
        except ConfigError:
            raise ConfigError(
                f"{out.path(printable(name))} is in the way of a picture and was not made here; move it away "
                "or name another folder"
            ) from None


def _reasons(plan: Plan, entries: Mapping[Pair, Entry], present: set[str]) -> dict[Pair, str]:
    request = plan.request
    if request.redo:
        return dict.fromkeys(plan.outputs, "asked for")
    reasons: dict[Pair, str] = {}
    for variant in request.variants:
        reasons |= todo(
            {pair: output for pair, output in plan.outputs.items() if pair.variant == variant},
            entries,
            content_digests=plan.content_digests,
            style_digests=plan.style_digests,
            settings_hashes=plan.settings_hashes,
            weights_hash=plan.weights_hashes[variant],
            present=present,
        )
    # in the order of the contact sheet
    return {pair: reasons[pair] for pair in plan.outputs if pair in reasons}


def _styles_at_once(request: Request) -> int:
    sizes = {
        prepared_key(config, "style"): style_bytes(config, request.network(variant))
        for variant, config in request.variants.items()
    }
    return max(1, min(_MOST_STYLES_AT_ONCE // len(sizes), _STYLES_BYTES // sum(sizes.values())))


def _mean_seconds(entries: Iterable[Entry], hashes: Mapping[str, str]) -> dict[str, float]:
    taken: dict[str, list[float]] = {}
    for entry in entries:
        if entry.state == "done" and entry.seconds:
            taken.setdefault(entry.settings_hash, []).append(entry.seconds)
    return {variant: sum(taken[key]) / len(taken[key]) for variant, key in hashes.items() if key in taken}
