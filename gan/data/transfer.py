"""Decoded images as files to send to nodes that do not have their source."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, require
from common.storage.folder import is_inside
from common.storage.reach import check_reachable
from gan.config import NAMED_SOURCES, DataConfig
from gan.data.array_store import open_store
from gan.data.cache import cache_folder, locked_cache, new_store, open_new_store
from gan.data.images import Images
from gan.data.loading import load_images
from gan.data.sources import find_source
from gan.data.sources.remote import is_url

MAX_BYTES = 1_000_000_000


@dataclasses.dataclass(frozen=True)
class ImageTransfer:
    """The files of one store of decoded images, by name."""

    fingerprint: str
    files: Mapping[str, npt.NDArray[np.uint8]]
    """Each uint8 (bytes,)."""

    @property
    def num_bytes(self) -> int:
        """Of all files together."""
        return sum(content.size for content in self.files.values())


def pack(config: DataConfig, images: Images) -> ImageTransfer:
    """The files that `load_images` left in the cache, memory-mapped, so not yet read."""
    folder = cache_folder(config) / images.fingerprint
    return ImageTransfer(
        images.fingerprint,
        {path.name: np.asarray(np.memmap(path, np.uint8, "r")) for path in folder.iterdir()},
    )


def unpack(config: DataConfig, transfer: ImageTransfer) -> Images:
    """The images of a transfer, written into this node's cache unless it has them.

    Several processes may call at once: one writes, the others wait and map the same files.

    Raises: ConfigError for a cache folder that cannot be written or is full.
    """
    fingerprint = transfer.fingerprint
    require(is_inside(fingerprint), f"{fingerprint!r} is not a fingerprint of images")
    for name in transfer.files:
        require(is_inside(name), f"{name!r} is not a name of a file inside a folder")
    with locked_cache(config, fingerprint) as cache:
        target = cache / fingerprint
        kept = open_store(target)
        if kept is not None:
            return kept
        with new_store(target, fingerprint) as folder:
            for name, content in transfer.files.items():
                content.tofile(folder / name)
        return open_new_store(target)


def find_kept(config: DataConfig, fingerprint: str) -> Images | None:
    """The images of that fingerprint if this node's cache has them."""
    return open_store(cache_folder(config) / fingerprint) if is_inside(fingerprint) else None


def has_source(config: DataConfig) -> bool:
    """Whether this node can decode the images itself, as far as a quick check can tell."""
    if config.source == "shapes" or config.download:
        return True
    try:
        if is_url(config.source):
            check_reachable(config.source, flag="--data")
            return True
        if config.source not in NAMED_SOURCES:
            return Path(config.source.removeprefix("file://")).expanduser().exists()
        find_source(config, cache_folder(config))
    except (ConfigError, OSError):  # a folder above it may not be entered, say
        return False
    return True


def load_same(config: DataConfig, fingerprint: str) -> Images:
    """The images that `config` describes, if they have that fingerprint.

    Raises: ConfigError as `load_images`, and for other pictures under the same path.
    """
    images = load_images(config)
    require(
        images.fingerprint == fingerprint,
        f"--data {config.source} has other pictures on this node than where the command was given; "
        "copy them again, or put them where all nodes see them",
    )
    return images
