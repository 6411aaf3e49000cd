"""From `--data` to decoded images: decoded once into the cache, memory-mapped by every later process."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from common.errors import require
from common.storage.content_hash import digest_files
from gan.config import DataConfig
from gan.data.array_store import STORE_VERSION, open_store, write_store
from gan.data.cache import locked_cache, new_store, open_new_store
from gan.data.images import Images
from gan.data.sources import find_source
from gan.data.splitting import find_other_split, mark_split, split_again
from gan.data.tidying import note_use, tidy

_OF_EVERY_STORE = ("resolution", "colour", "max_images", "held_out", "data_seed")
# defaults of these change no pixel: what earlier versions stored and began keeps its fingerprint
_OF_LATER_VERSIONS = ("fit", "pad_colour", "crops", "flip")
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(DataConfig)}


@dataclasses.dataclass(frozen=True)
class DecodeProgress:
    """Pictures decoded so far."""

    done: int
    total: int
    seconds: float


def load_images(config: DataConfig, *, on_progress: Callable[[DecodeProgress], None] | None = None) -> Images:
    """The images that `config` describes, from the cache, else decoded into it.

    Several processes may call at once: one decodes, the others wait and map the same files. `on_progress` is
    called in this thread, and only while decoding.

    Raises: ConfigError for a source that is absent, empty, too broken or too small, and for a cache folder
    that cannot be written or is full.
    """
    # by source, not by content: also downloading and hashing the files is left to one process at a time
    place = config.source if "://" in config.source else str(Path(config.source).expanduser().absolute())
    place += f"\0{config.root}"
    lock_name = hashlib.blake2b(place.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    with locked_cache(config, lock_name) as cache:
        source = find_source(config, cache)
        content = source.content or digest_files(source.files, cache / f"{lock_name}.json")
        target = cache / _fingerprint(config, source.identity, content)
        images = open_store(target)
        if images is None:
            images = _split_anew(config, source.identity, content, target, lock_name)
        if images is None:
            pictures, began = source.open(), time.monotonic()

            def on_batch(done: int) -> None:
                if on_progress is not None:
                    on_progress(DecodeProgress(done, len(pictures.names), time.monotonic() - began))

            with new_store(target, lock_name) as folder:
                write_store(folder, pictures, config, on_batch)
                mark_split(folder, _split_free_fingerprint(config, source.identity, content))
            images = open_new_store(target)
        note_use(target)
        tidy(cache)
    _check_broken(config, images, target / "skipped.csv")
    return dataclasses.replace(images, others=source.others())


def _split_anew(
    config: DataConfig, identity: str, content: str, target: Path, lock_name: str
) -> Images | None:
    """The images from a store of the same pictures that holds out another number; None without one."""
    split_free = _split_free_fingerprint(config, identity, content)
    other = find_other_split(target.parent, split_free)
    if other is None:
        return None
    with new_store(target, lock_name) as folder:
        split_again(other, target.parent / other.fingerprint, folder, config.held_out)
        mark_split(folder, split_free)
    return open_new_store(target)


def _fingerprint(config: DataConfig, identity: str, content: str, *left_out: str) -> str:
    # --max-broken is left out: it is checked at every start and changes no pixel
    named = {
        *_OF_EVERY_STORE,
        *(name for name in _OF_LATER_VERSIONS if getattr(config, name) != _DEFAULTS[name]),
    }
    settings = {name: getattr(config, name) for name in named.difference(left_out)}
    text = json.dumps([STORE_VERSION, identity, content, settings], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _split_free_fingerprint(config: DataConfig, identity: str, content: str) -> str:
    """The same for stores that differ only in how many images they hold out."""
    return _fingerprint(config, identity, content, "held_out")


def _check_broken(config: DataConfig, images: Images, table: Path) -> None:
    broken = len(images.skipped)
    good = (len(images.train) + len(images.held_out)) // images.crops
    total = broken + good
    first = f", first {images.skipped[0][0]}: {images.skipped[0][1]}" if broken else ""
    require(
        broken <= config.max_broken * total,
        f"--max-broken allows {config.max_broken:g} of the pictures to be unreadable, not {broken} of {total}"
        f"{first}; repair or remove those in {table} or raise --max-broken",
    )
    require(
        good >= 2,
        f"--data {config.source} must hold at least 2 readable pictures, not {good}{first}; add pictures",
    )
