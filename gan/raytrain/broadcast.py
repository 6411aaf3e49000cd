"""RAY: the driver's images on every node of the cluster: decoded there, or sent there once."""

import dataclasses
import socket

import ray
from rich import filesize

from common.cluster.nodes import ask_every_node, count_nodes
from common.errors import ConfigError, require
from gan.config import DataConfig
from gan.data.images import Images
from gan.data.transfer import MAX_BYTES, ImageTransfer, find_kept, has_source, load_same, pack, unpack


@dataclasses.dataclass(frozen=True)
class ImageBroadcast:
    """How a worker obtains the images: from its node's cache or source, else from the driver."""

    fingerprint: str
    transfer: ray.ObjectRef | None = None
    """The decoded images in Ray's object store; None when every node has the source."""

    def load(self, config: DataConfig) -> Images:
        """The images, on the node of a worker.

        Raises: ConfigError, which names the node, when it cannot obtain them or has other ones.
        """
        kept = find_kept(config, self.fingerprint)
        if kept is not None:
            return kept
        try:
            if self.transfer is None or has_source(config):
                return load_same(config, self.fingerprint)
            transfer: ImageTransfer = ray.get(self.transfer)
            return unpack(config, transfer)
        except ConfigError as error:
            raise ConfigError(f"on {socket.gethostname()}: {error}") from error


def broadcast_images(config: DataConfig, images: Images) -> tuple[ImageBroadcast, str | None]:
    """Ask all nodes which of them lack the source, and keep the decoded images for those.

    Returns: how workers load the images, and a line for the terminal; None on a single node.

    Raises: ConfigError when a node lacks them and they are too many to be sent.
    """
    if count_nodes() < 2:
        return ImageBroadcast(images.fingerprint), None
    answers = ask_every_node(has_source, config)
    lacking = [address for address, answer in answers.items() if not answer.value]
    if not lacking:
        return ImageBroadcast(images.fingerprint), (
            f"images: each of the {len(answers)} nodes decodes {config.source} once, for its own cache"
        )
    transfer, listed = pack(config, images), ", ".join(lacking)
    size = filesize.decimal(transfer.num_bytes)
    require(
        transfer.num_bytes <= MAX_BYTES,
        f"--data {config.source} is not found on {listed}, and its decoded images are too many to be sent "
        f"({size}, at most {filesize.decimal(MAX_BYTES)}); put it where all nodes see it, or name it in "
        "file_mounts",
    )
    return ImageBroadcast(images.fingerprint, ray.put(transfer)), (
        f"images: decoded here and sent once to each that lacks {config.source}: {listed} ({size})"
    )
