"""Atomic file replacement: readers see the old or the new file, never half of one, even after a crash."""

import contextlib
import errno
import os
import secrets
from pathlib import Path

from common.errors import ConfigError
from common.text import os_reason


class WriteError(ConfigError):
    """A file could not be written; the message is one line: which file, why, remedy."""


def replace_file(path: Path, data: bytes | memoryview) -> None:
    """Replace the file at `path` atomically: write a temporary file beside it, flush it to disk, rename it.

    Missing parent folders are created.

    Raises: WriteError when the disk is full, the folder is read-only or the like; the earlier file is intact.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise WriteError(f"{path} cannot be written: {os_reason(error)}; {remedy_for(error)}") from error


def remedy_for(error: OSError, *, when_full: str = "free some space or choose another folder") -> str:
    """What helps when a file cannot be written: `when_full` on a full disk, else another folder."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return when_full if is_full else "choose a folder where you may write"


def _sync_folder(folder: Path) -> None:
    # without it a power cut may undo the rename; some network file systems refuse to sync a folder
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
