"""Decoded images as a parcel for machines that do not have their source; not how it travels."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, require
from common.storage.folder import is_inside
from gan.config import NAMED_SOURCES, DataConfig
from gan.data.array_store import open_store
from gan.data.images import Images, cache_folder, keep_store, load_images, locked_cache
from gan.data.sources import find_source

MAX_BYTES = 1_000_000_000


@dataclasses.dataclass(frozen=True)
class Parcel:
    """The files of one store of decoded images, by name."""

    fingerprint: str
    files: Mapping[str, npt.NDArray[np.uint8]]
    """Each uint8 (bytes,)."""

    @property
    def num_bytes(self) -> int:
        """Of all files together."""
        return sum(content.size for content in self.files.values())


def pack(config: DataConfig, images: Images) -> Parcel:
    """What `load_images` left in the cache, mapped and not yet read."""
    folder = cache_folder(config) / images.fingerprint
    return Parcel(
        images.fingerprint,
        {path.name: np.asarray(np.memmap(path, np.uint8, "r")) for path in folder.iterdir()},
    )


def unpack(config: DataConfig, parcel: Parcel) -> Images:
    """The images of a parcel, put into this machine's cache unless they are there already.

    Several processes may call at once: one writes, the others wait and map the same files.

    Raises: ConfigError for a cache folder that cannot be written or is full.
    """
    require(is_inside(parcel.fingerprint), f"{parcel.fingerprint!r} is no fingerprint of images")
    target = cache_folder(config) / parcel.fingerprint

    def write(folder: Path) -> None:
        for name, content in parcel.files.items():
            require(is_inside(name), f"{name!r} is no name of a file inside a folder")
            content.tofile(folder / name)

    with locked_cache(config, parcel.fingerprint):
        stored = open_store(target) or keep_store(target, parcel.fingerprint, write)
    return Images.of(stored, parcel.fingerprint)


def find_kept(config: DataConfig, fingerprint: str) -> Images | None:
    """The images of the fingerprint where this machine's cache has them."""
    stored = open_store(cache_folder(config) / fingerprint) if is_inside(fingerprint) else None
    return None if stored is None else Images.of(stored, fingerprint)


def has_source(config: DataConfig) -> bool:
    """Whether this machine can decode the images for itself, as far as can be seen quickly."""
    if config.source == "shapes" or config.download:
        return True
    try:
        if config.source not in NAMED_SOURCES:
            return Path(config.source).expanduser().exists()
        find_source(config, cache_folder(config))
    except (ConfigError, OSError):  # a folder above it may not be entered, say
        return False
    return True


def load_same(config: DataConfig, fingerprint: str) -> Images:
    """The images that `config` describes, if they are those of the fingerprint.

    Raises: ConfigError as `load_images`, and when other pictures lie there.
    """
    images = load_images(config)
    require(
        images.fingerprint == fingerprint,
        f"--data {config.source} holds other pictures on this machine than where the command was given; "
        "copy them anew, or put them where all machines see them",
    )
    return images
