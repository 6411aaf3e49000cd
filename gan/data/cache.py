"""The cache of decoded images: its folder, its lock, and stores that are complete or absent."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from common.errors import ConfigError
from gan.config import DataConfig
from gan.data.array_store import open_store
from gan.data.images import Images

# decoding may take hours; a process that died no longer holds its lock
_OF_PATHS_AND_RIGHTS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENOENT,
)
_LOCK_TIMEOUT_S = 24 * 3600.0


def cache_folder(config: DataConfig) -> Path:
    """Where decoded arrays are kept: `--cache-dir`, else $XDG_CACHE_HOME/artsweep, else ~/.cache/artsweep."""
    if config.cache:
        return Path(config.cache).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "artsweep"


@contextmanager
def locked_cache(config: DataConfig, lock_name: str) -> Iterator[Path]:
    """The cache folder, made if absent; only one process at a time holds the lock of that name.

    Raises: ConfigError when the cache is full or cannot be written, or the source cannot be read.
    """
    cache = cache_folder(config)
    with _clear_errors(config, cache):
        cache.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(cache / f"{lock_name}.lock", timeout=_LOCK_TIMEOUT_S):
            yield cache


@contextmanager
def new_store(target: Path, lock_name: str) -> Iterator[Path]:
    """An empty folder to write a store into; it becomes `target`, which is complete or absent at any time.

    target: named by the images' fingerprint. The caller holds the lock of that name.
    """
    cache = target.parent
    shutil.rmtree(target, ignore_errors=True)
    for left_over in cache.glob(f"{lock_name}.*.partial"):  # of a process that was killed: we hold its lock
        shutil.rmtree(left_over, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(dir=cache, prefix=f"{lock_name}.", suffix=".partial"))
    try:
        yield partial
        try:
            partial.replace(target)
        except OSError:
            # another process was quicker with the same pictures under another path, hence another lock
            if open_store(target) is None:
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def open_new_store(target: Path) -> Images:
    """The images of a store that was written just now.

    Raises: ConfigError when it cannot be read back.
    """
    images = open_store(target)
    if images is None:
        raise ConfigError(f"--cache-dir {target.parent} does not keep what is written there; choose another")
    return images


@contextmanager
def _clear_errors(config: DataConfig, cache: Path) -> Iterator[None]:
    """Turn a full disk and files that may not be read or written into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConfigError(f"--cache-dir {cache} is full; make room or choose another folder") from None
        if error.errno not in _OF_PATHS_AND_RIGHTS:
            raise
        path = Path(os.fsdecode(error.filename or cache))
        if path.is_relative_to(cache) or cache.is_relative_to(path):
            raise ConfigError(
                f"--cache-dir {cache} cannot be written ({error.strerror}); choose another folder"
            ) from None
        raise ConfigError(
            f"--data {config.source} needs {path}, which cannot be read ({error.strerror}); allow reading it"
        ) from None
