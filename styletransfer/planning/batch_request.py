"""A checked command: its pictures found, its settings resolved, its networks loaded."""

import dataclasses
from collections.abc import Mapping

from common.errors import require
from common.storage.folder import Folder
from perceptual.loading import FeatureNetwork, load_network
from styletransfer.commands import PREVIEW_FOLDER, Batch
from styletransfer.config import StyleConfig
from styletransfer.pictures.writing import Format, check_size
from styletransfer.planning.inputs import Inputs, find_inputs
from styletransfer.planning.staleness import NetworkKey, network_key
from styletransfer.planning.variants import preview_of, variants_of
from styletransfer.transfer.features import Reader
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
    inputs = find_inputs(command.places, pairs=command.pairs, mask=command.mask, start=base.start_file())
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
    config.blend(1)
    require(
        OPTIMIZERS[config.optimizer].takes_batches or command.batch <= 1,
        f"--batch {command.batch} needs --optimizer adam, not {config.optimizer}; leave --batch out",
    )
    check_size(command.format, (config.size, config.size))
    require(
        config.start_file() == base.start_file(),
        "--sweep start takes content, noise and gray, but no files; give the file by --start alone",
    )


def _networks(variants: Mapping[str, StyleConfig]) -> dict[NetworkKey, FeatureNetwork]:
    """Every network that a variant uses, once each; checks that it has the variant's layers."""
    networks: dict[NetworkKey, FeatureNetwork] = {}
    for config in variants.values():
        key = network_key(config)
        if key not in networks:
            networks[key] = load_network(
                config.features, weights=config.weights, pooling=config.pooling, last_tap=key.last_tap
            )
        Reader(networks[key], config.taps(), precision=config.precision)
    return networks
