"""Any source of images as one uint8 array: decoded once into the cache, memory-mapped by whoever asks next.

Finding pictures lives in `sources`, reading one in `pictures`, the arrays' files in `store`; what becomes of
a batch on the device is not decided here.
"""

import dataclasses
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, require
from common.storage.content_hash import digest_files
from gan.config import DataConfig
from gan.data.array_store import STORE_VERSION, Stored, open_store, write_store
from gan.data.sources import find_source

# the lock is left to whoever decodes for as long as this; a process that died has let go of it
_LOCK_TIMEOUT_S = 24 * 3600.0


@dataclasses.dataclass(frozen=True)
class DecodeProgress:
    """How far the decoding has come."""

    done: int
    total: int
    seconds: float


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """Training and held-out images, uint8 (N, H, W, C) with C 1 or 3, memory-mapped read-only, shuffled."""

    train: npt.NDArray[np.uint8]
    held_out: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64] | None
    held_out_labels: npt.NDArray[np.int64] | None
    class_names: tuple[str, ...]
    """Empty without labels."""
    skipped: tuple[tuple[str, str], ...]
    """(file, reason) of each broken picture."""
    fingerprint: str
    """Hex; the same for the same pictures and settings, wherever they lie."""

    @classmethod
    def of(cls, stored: Stored, fingerprint: str) -> "Images":
        """What a store holds."""
        values = {field.name: getattr(stored, field.name) for field in dataclasses.fields(stored)}
        return cls(**values, fingerprint=fingerprint)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.train.shape[3])

    @property
    def resolution(self) -> int:
        """Side of the square images in pixels."""
        return int(self.train.shape[1])

    def check_batch(self, batch: int) -> None:
        """Raise `ConfigError` when there are fewer training images than one batch."""
        have = len(self.train)
        require(
            batch <= have,
            f"--batch must be at most the {have} training images ({len(self.held_out)} are held out), "
            f"not {batch}; choose a smaller batch or add pictures",
        )


def cache_folder(config: DataConfig) -> Path:
    """Where decoded arrays are kept: `--cache-dir`, else $XDG_CACHE_HOME/artsweep, else ~/.cache/artsweep."""
    if config.cache:
        return Path(config.cache).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "artsweep"


def load_images(config: DataConfig, *, on_progress: Callable[[DecodeProgress], None] | None = None) -> Images:
    """The images that `config` describes, decoded into the cache unless they are there already.

    Several processes may call at once: one decodes, the others wait and map the same files. `on_progress` is
    called in this thread, and only while decoding.

    Raises: ConfigError for a source that is absent, empty, too broken or too small, and for a cache folder
    that cannot be written or is full.
    """
    cache = cache_folder(config)
    # by source, not by content: also a download and the reading for the digest happen once at a time
    place = str(Path(config.source).expanduser().absolute()) + f"\0{config.root}"
    lock_name = hashlib.blake2b(place.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    with locked_cache(config, lock_name):
        fingerprint, stored = _load(config, cache, lock_name, on_progress)
    _check_broken(config, stored, cache / fingerprint / "skipped.csv")
    return Images.of(stored, fingerprint)


@contextmanager
def locked_cache(config: DataConfig, lock_name: str) -> Iterator[None]:
    """One process at a time, which may write into the cache; its errors come out as one line.

    Raises: ConfigError when the cache is full or cannot be written, or the source cannot be read.
    """
    cache = cache_folder(config)
    with _clear_errors(config, cache):
        cache.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(cache / f"{lock_name}.lock", timeout=_LOCK_TIMEOUT_S):
            yield


def _load(
    config: DataConfig,
    cache: Path,
    lock_name: str,
    on_progress: Callable[[DecodeProgress], None] | None,
) -> tuple[str, Stored]:
    source = find_source(config, cache)
    fingerprint = _fingerprint(
        config, source.identity, digest_files(source.files, cache / f"{lock_name}.json")
    )
    target = cache / fingerprint
    stored = open_store(target)
    if stored is not None:
        return fingerprint, stored

    pictures = source.open()
    total, began = len(pictures.names), time.monotonic()

    def on_batch(done: int) -> None:
        if on_progress is not None:
            on_progress(DecodeProgress(done, total, time.monotonic() - began))

    def write(folder: Path) -> None:
        write_store(
            folder,
            pictures,
            resolution=config.resolution,
            colour=config.colour,
            held_out=config.held_out,
            seed=config.data_seed,
            on_batch=on_batch,
        )

    return fingerprint, keep_store(target, lock_name, write)


def keep_store(target: Path, lock_name: str, write: Callable[[Path], None]) -> Stored:
    """Put into the cache, whole or not at all, what `write` puts into a folder; the lock is the caller's.

    Raises: ConfigError when it cannot be read back.
    """
    cache = target.parent
    shutil.rmtree(target, ignore_errors=True)
    for left_over in cache.glob(f"{lock_name}.*.partial"):  # of a process that was killed: we hold its lock
        shutil.rmtree(left_over, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(dir=cache, prefix=f"{lock_name}.", suffix=".partial"))
    try:
        write(partial)
        try:
            partial.replace(target)
        except OSError:
            # the same pictures under another path, hence under another lock, were quicker
            if open_store(target) is None:
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    stored = open_store(target)
    require(stored is not None, f"--cache-dir {cache} does not keep what is written there; choose another")
    assert stored is not None
    return stored


def _fingerprint(config: DataConfig, identity: str, content: str) -> str:
    # --max-broken is left out: it is checked at every start and changes no pixel
    settings = {
        name: getattr(config, name)
        for name in ("resolution", "colour", "max_images", "held_out", "data_seed")
    }
    whole = json.dumps([STORE_VERSION, identity, content, settings], sort_keys=True)
    return hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()


def _check_broken(config: DataConfig, stored: Stored, table: Path) -> None:
    broken, good = len(stored.skipped), len(stored.train) + len(stored.held_out)
    total = broken + good
    first = f", first {stored.skipped[0][0]}: {stored.skipped[0][1]}" if broken else ""
    require(
        broken <= config.max_broken * total,
        f"--max-broken allows {config.max_broken:g} of the pictures to be unreadable, not {broken} of {total}"
        f"{first}; repair or remove those in {table} or raise --max-broken",
    )
    require(
        good >= 2,
        f"--data {config.source} must hold at least 2 readable pictures, not {good}{first}; add pictures",
    )


@contextmanager
def _clear_errors(config: DataConfig, cache: Path) -> Iterator[None]:
    """Turn a full disk and files that may not be read or written into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConfigError(f"--cache-dir {cache} is full; make room or choose another folder") from None
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        path = Path(os.fsdecode(error.filename or cache))
        if path.is_relative_to(cache) or cache.is_relative_to(path):
            raise ConfigError(
                f"--cache-dir {cache} cannot be written ({error.strerror}); choose another folder"
            ) from None
        raise ConfigError(
            f"--data {config.source} needs {path}, which cannot be read ({error.strerror}); allow reading it"
        ) from None
