"""Content digests of files, remembered by their status so that a second start need not read them again."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# A file changed twice within one tick of the file system's clock looks unchanged (as git's "racy" entries);
# what changed so lately is read again next time.
_SETTLED_S = 2.0

_Entry = tuple[int, int, int, str]  # size, mtime_ns, ctime_ns, digest
_Known = dict[str, _Entry]


def digest_files(files: Mapping[str, Path], index_path: Path) -> str:
    """Digest of names and contents, hex; equal wherever the files lie and whenever they were written.

    `index_path` remembers each file's digest under its size and times. A file that cannot be read counts as
    one with its reason for content.
    """
    known = _read_index(index_path)
    began = time.time()
    found: dict[str, _Entry] = {}
    unknown: list[str] = []
    for name, path in files.items():
        remembered = known.get(str(path))
        if remembered is not None and remembered[:3] == _status(path):
            found[name] = remembered
        else:
            unknown.append(name)
    with ThreadPoolExecutor() as pool:
        found |= zip(unknown, pool.map(lambda name: _digest(files[name]), unknown), strict=True)
    settled = {
        str(files[name]): entry
        for name, entry in found.items()
        if max(entry[1], entry[2]) / 1e9 < began - _SETTLED_S and entry[0] >= 0
    }
    if settled != known:
        _write_index(index_path, settled)
    whole = hashlib.blake2b(digest_size=20)
    for name in sorted(found):
        # a NUL cannot be part of a name, nor does a hex digest hold a newline
        whole.update(name.encode("utf-8", "surrogateescape") + b"\0" + found[name][3].encode() + b"\n")
    return whole.hexdigest()


def _status(path: Path) -> tuple[int, int, int] | None:
    """(size, mtime_ns, ctime_ns) of a regular file; None for others: a named pipe would wait for ever."""
    try:
        status = path.stat()
    except OSError:
        return None
    is_file = stat.S_ISREG(status.st_mode)
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns) if is_file else None


def _digest(path: Path) -> _Entry:
    status = _status(path)
    if status is None:
        return -1, 0, 0, "not a file"
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
    except OSError as error:
        return -1, 0, 0, f"unreadable: {error.strerror}"
    return *status, content


def _read_index(path: Path) -> _Known:
    try:
        entries = json.loads(path.read_text("utf-8"))
        return {
            name: (int(size), int(modified), int(changed), str(digest))
            for name, (size, modified, changed, digest) in entries.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # absent or damaged: it only saves time


def _write_index(path: Path, entries: _Known) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    beside.write_text(json.dumps(entries), "utf-8")
    beside.replace(path)
