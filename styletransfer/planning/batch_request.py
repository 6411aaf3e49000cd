"""A checked command: its pictures found, its settings resolved, its networks loaded."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from common.errors import ConfigError, require
from common.storage.folder import Folder
from common.text import printable
from perceptual.loading import FeatureNetwork, load_network
from styletransfer.commands import PREVIEW_FOLDER, Batch
from styletransfer.config import StyleConfig
from styletransfer.pictures.writing import SUFFIXES, Format, check_size
from styletransfer.planning.inputs import Inputs, find_inputs
from styletransfer.planning.manifest import MANIFEST_NAME
from styletransfer.planning.staleness import NetworkKey, network_key
from styletransfer.planning.variants import preview_of, variants_of
from styletransfer.transfer.optimizers import OPTIMIZERS


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """What a command asks for, before it is compared with the output folder."""

    out: Folder
    inputs: Inputs
    variants: Mapping[str, StyleConfig]
    networks: Mapping[NetworkKey, FeatureNetwork]
    format: Format
    quality: int
    redo: bool

    def network(self, variant: str) -> FeatureNetwork:
        """The network that the variant uses."""
        return self.networks[network_key(self.variants[variant])]


def make_request(command: Batch) -> BatchRequest:
    """Find the pictures and load the networks; nothing is written.

    Raises: ConfigError, one line, for whatever is wrong with the command, its pictures or the weights.
    """
    base = preview_of(command.style) if command.preview else command.style
    variants = variants_of(base, command.sweep)
    out = Folder(command.places[-1], flag="OUT")
    for config in variants.values():
        _check_variant(config, command, base)
    _check_out(out)
    inputs = find_inputs(
        command.places,
        pairs=command.pairs,
        mask=command.mask,
        start=base.start_file(),
        blend_folders=command.blend_folders,
    )
    for config in variants.values():
        _check_blends(config, inputs)
    require(
        not (inputs.asked and command.sweep),
        "--sweep makes several pictures of a pair, and --pairs has a column output that names one; "
        "leave that column out",
    )
    return BatchRequest(
        out=out.child(PREVIEW_FOLDER) if command.preview else out,
        inputs=inputs,
        variants=variants,
        networks=_networks(variants),
        format=command.format,
        quality=command.quality,
        redo=command.redo,
    )


def _check_variant(config: StyleConfig, command: Batch, base: StyleConfig) -> None:
    require(
        command.blend_folders or len(config.style_blend) <= 1,
        "--style-blend must have one weight for each of the 1 styles of a picture, not "
        f"{' '.join(map(str, config.style_blend))}; add --blend-folders, which makes a style of each folder",
    )
    require(
        OPTIMIZERS[config.optimizer].takes_batches or command.batch <= 1,
        f"--batch {command.batch} needs --optimizer adam, not {config.optimizer}; leave --batch out",
    )
    check_size(command.format, (config.size, config.size))
    require(
        config.start_file() == base.start_file(),
        "--sweep start takes content, noise and gray, but no files; give the file by --start alone",
    )


def _check_out(out: Folder) -> None:
    """Refuse an output folder that is meant as a picture, unless it is one from an earlier batch."""
    suffix = PurePosixPath(out.location).suffix.lower()
    if suffix not in SUFFIXES or (out.is_local and Path(out.location).is_dir()):
        return
    name = printable(out.location)
    require(
        not out.is_local and out.read(MANIFEST_NAME) is not None,
        f"OUT {name} is named like a picture, but the results are a folder; try "
        f"{printable(out.location[: -len(suffix)])}",
    )


def _check_blends(config: StyleConfig, inputs: Inputs) -> None:
    for style, pictures in inputs.blends.items():
        try:
            config.blend(len(pictures))
        except ConfigError as error:
            raise ConfigError(f"{printable(style)} in STYLES: {error}") from None


def _check_layers(config: StyleConfig, network: FeatureNetwork) -> None:
    for flag, layers in (
        ("--content-layers", config.content_layers),
        ("--style-layers", config.style_layers),
    ):
        for layer in layers:
            require(
                layer in network.taps,
                f"{flag}: {layer} is not a layer of the network; choose among {', '.join(network.taps)}",
            )


def _networks(variants: Mapping[str, StyleConfig]) -> dict[NetworkKey, FeatureNetwork]:
    """Every network that a variant uses, once each; checks that it has the variant's layers."""
    networks: dict[NetworkKey, FeatureNetwork] = {}
    for config in variants.values():
        key = network_key(config)
        if key not in networks:
            networks[key] = _load(config, key)
        _check_layers(config, networks[key])
    return networks


def _load(config: StyleConfig, key: NetworkKey) -> FeatureNetwork:
    try:
        return load_network(
            config.features, weights=config.weights, pooling=config.pooling, last_tap=key.last_tap
        )
    except ConfigError as error:
        if key.last_tap not in str(error):
            raise
        flag = "--style-layers" if key.last_tap in config.style_layers else "--content-layers"
        raise ConfigError(f"{flag}: {error}") from None
