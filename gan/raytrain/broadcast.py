"""RAY: the driver's images on every machine of the cluster: decoded there, or sent there once."""

import dataclasses
import socket

import ray
from rich import filesize

from common.cluster.nodes import ask_every_node, count_nodes
from common.errors import ConfigError, require
from gan.config import DataConfig
from gan.data.images import Images
from gan.data.transfer import MAX_BYTES, Parcel, find_kept, has_source, load_same, pack, unpack


@dataclasses.dataclass(frozen=True)
class Spread:
    """How a worker comes by the images: from its machine's own source or cache, else from the parcel."""

    fingerprint: str
    parcel: ray.ObjectRef | None = None

    def load(self, config: DataConfig) -> Images:
        """The images, on the machine of a worker.

        Raises: ConfigError, which names the machine, when they cannot be had there or are others.
        """
        kept = find_kept(config, self.fingerprint)
        if kept is not None:
            return kept
        try:
            if self.parcel is None or has_source(config):
                return load_same(config, self.fingerprint)
            parcel: Parcel = ray.get(self.parcel)
            return unpack(config, parcel)
        except ConfigError as error:
            raise ConfigError(f"on {socket.gethostname()}: {error}") from error


def spread_images(config: DataConfig, images: Images) -> tuple[Spread, str | None]:
    """Ask all machines who lacks the source, and keep the decoded images for those.

    Returns what workers load by, and what is to be said about it; on one machine there is nothing to say.

    Raises: ConfigError when a machine lacks them and they are too many to be sent.
    """
    if count_nodes() < 2:
        return Spread(images.fingerprint), None
    answers = ask_every_node(has_source, config)
    lacking = [address for address, answer in answers.items() if not answer.value]
    if not lacking:
        return Spread(images.fingerprint), (
            f"images: each of the {len(answers)} machines decodes {config.source} once, for its own cache"
        )
    parcel, listed = pack(config, images), ", ".join(lacking)
    size = filesize.decimal(parcel.num_bytes)
    require(
        parcel.num_bytes <= MAX_BYTES,
        f"--data {config.source} is not found on {listed}, and its decoded images are too many to be sent "
        f"({size}, at most {filesize.decimal(MAX_BYTES)}); put it where all machines see it, or name it in "
        "file_mounts",
    )
    return Spread(images.fingerprint, ray.put(parcel)), (
        f"images: decoded here and sent once to each that lacks {config.source}: {listed} ({size})"
    )
