"""Content digests of files, cached by size and times so that a second start does not read them again."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from common.errors import ConfigError
from common.storage.folder import Folder

# A file changed twice within one tick of the file system's clock looks unchanged (git calls this "racy"), so
# files that changed so recently are read again next time.
_SETTLED_S = 2.0

_READS_AT_ONCE = 16  # of an object store, whose reads mostly wait for the network
_WAITING = 4096  # files handed to the threads at once: each waits as an object of 2 KB

_Status = tuple[int, int, int]  # size, mtime_ns, ctime_ns
_Entry = tuple[int, int, int, str]  # and the digest
_Known = dict[str, _Entry]
_Result = TypeVar("_Result")


def digest_files(files: Mapping[str, Path], index_path: Path) -> str:
    """Digest of names and contents, hex; it does not depend on where the files are or when they were written.

    `index_path`: see `digest_each`. A file that cannot be read counts as one whose content is the reason.
    """
    digests = digest_each(files, index_path)
    whole = hashlib.blake2b(digest_size=20)
    for name in sorted(digests):
        # a NUL cannot be part of a name, nor does a hex digest hold a newline
        whole.update(name.encode("utf-8", "surrogateescape") + b"\0" + digests[name].encode() + b"\n")
    return whole.hexdigest()


def digest_each(files: Mapping[str, Path], index_path: Path) -> dict[str, str]:
    """Name -> digest of each file's bytes, hex; for a file that cannot be read, the reason.

    `index_path`: file that caches the digests under each file's size and times.
    """
    places = {name: str(path) for name, path in files.items()}
    return _digests(
        places, lambda name: _status(files[name]), lambda name: _digest(files[name]), index_path, None
    )


def digest_remote(
    folder: Folder, names: Iterable[str], index_path: Path, *, max_bytes: int
) -> dict[str, str]:
    """Like `digest_each`, for files in any folder, for instance behind a URL; larger ones are not read.

    Stores that do not report the time of a change have all their files read every time.
    """

    def status(name: str) -> _Status | None:
        try:
            found = folder.status(name)
        except ConfigError:
            return None
        if found is None or found.modified_ns is None:
            return None
        return found.size, found.modified_ns, found.modified_ns

    def digest(name: str) -> _Entry:
        try:
            found = folder.status(name)
            if found is None:
                return _unread("no such file")
            if found.size > max_bytes:
                return _unread(f"over {max_bytes:,} bytes")
            content = digest_bytes(folder.read(name) or b"")
        except ConfigError as error:
            return _unread(str(error))
        if found.modified_ns is None:
            return -1, 0, 0, content
        return found.size, found.modified_ns, found.modified_ns, content

    return _digests({name: folder.path(name) for name in names}, status, digest, index_path, _READS_AT_ONCE)


def digest_bytes(data: bytes) -> str:
    """The digest that a file of these bytes has."""
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def _digests(
    places: Mapping[str, str],
    status: Callable[[str], _Status | None],
    digest: Callable[[str], _Entry],
    index_path: Path,
    threads: int | None,
) -> dict[str, str]:
    known = _read_index(index_path)
    began = time.time()
    found: dict[str, _Entry] = {}
    with ThreadPoolExecutor(threads) as pool:
        asked = [name for name, place in places.items() if place in known]
        for name, now in _in_threads(pool, status, asked):
            if known[places[name]][:3] == now:
                found[name] = known[places[name]]
        unknown = [name for name in places if name not in found]
        found |= _in_threads(pool, digest, unknown)
    settled = {
        places[name]: entry
        for name, entry in found.items()
        if max(entry[1], entry[2]) / 1e9 < began - _SETTLED_S and entry[0] >= 0
    }
    if settled != known:
        _write_index(index_path, settled)
    return {name: found[name][3] for name in places}


def _in_threads(
    pool: ThreadPoolExecutor, function: Callable[[str], _Result], names: Sequence[str]
) -> Iterator[tuple[str, _Result]]:
    """Each name with the function's result; of a million files only some thousand wait in memory."""
    for start in range(0, len(names), _WAITING):
        part = names[start : start + _WAITING]
        yield from zip(part, pool.map(function, part), strict=True)


def _status(path: Path) -> _Status | None:
    """(size, mtime_ns, ctime_ns) of a regular file; None for others, since a named pipe would block."""
    try:
        status = path.stat()
    except OSError:
        return None
    is_file = stat.S_ISREG(status.st_mode)
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns) if is_file else None


def _digest(path: Path) -> _Entry:
    status = _status(path)
    if status is None:
        return _unread("not a file")
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
    except OSError as error:
        return _unread(f"unreadable: {error.strerror}")
    return *status, content


def _unread(reason: str) -> _Entry:
    # never cached: no file has this size
    return -1, 0, 0, reason


def _read_index(path: Path) -> _Known:
    try:
        entries = json.loads(path.read_text("utf-8"))
        return {
            name: (int(size), int(modified), int(changed), str(digest))
            for name, (size, modified, changed, digest) in entries.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # absent or damaged: it is only a cache


def _write_index(path: Path, entries: _Known) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    beside.write_text(json.dumps(entries), "utf-8")
    beside.replace(path)
