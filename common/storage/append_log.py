"""Appends lines to a file on a disk or behind a URL, so that a crash loses or damages none written before."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from common.storage.atomic import WriteError, remedy_for
from common.storage.folder import Folder
from common.text import os_reason


class AppendedLines:
    """Appends lines to the file `name` in a folder; use it in a `with` block.

    On a disk, a line is in the file when `append` returns, even if the process is killed, and with
    `is_durable` even after a power cut. An object store cannot append: there the complete file is written at
    most every `seconds_between_writes`, and at the end. An incomplete last line, left by a kill or a full
    disk, gets a line break, so that the next line starts on its own. remedy: helps when the disk is full.

    Raises: WriteError in one line when the disk is full or the like; earlier lines are intact.
    """

    def __init__(
        self,
        folder: Folder,
        name: str,
        *,
        remedy: str,
        is_durable: bool = False,
        seconds_between_writes: float = 30.0,
    ) -> None:
        self._folder, self._name = folder, name
        self._file: _AppendedFile | None = None
        if folder.is_local:
            self._file = _AppendedFile(Path(folder.path(name)), remedy, is_durable)
        else:
            content = folder.read(name) or b""
            self._lines = bytearray(content + _missing_newline(content))
        self._interval_s = seconds_between_writes
        self._next_write_s = time.monotonic()  # the first line shows at once whether it can be written
        self._is_written, self._is_abandoned = True, False
        self.before_upload: Callable[[], None] = lambda: None
        """Called before each upload to an object store: what the lines refer to must be there before them."""

    def append(self, line: bytes) -> None:
        """Add a line, which must end in a line break."""
        if self._file is not None:
            self._file.append(line)
            return
        self._lines += line
        self._is_written = False
        if time.monotonic() >= self._next_write_s:
            self.flush()

    def flush(self) -> None:
        """Write the lines that an object store does not have yet."""
        if self._file is None and not self._is_written and not self._is_abandoned:
            self.before_upload()
            self._folder.write(self._name, bytes(self._lines))
            self._is_written = True
            self._next_write_s = time.monotonic() + self._interval_s

    def abandon(self) -> None:
        """Upload nothing more: another process writes the file in the object store now."""
        self._is_abandoned = True

    def close(self) -> None:
        """Flush and close the file."""
        self.flush()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _AppendedFile:
    def __init__(self, path: Path, remedy: str, is_durable: bool) -> None:
        self._path, self._remedy, self._is_durable = path, remedy, is_durable
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._size = os.fstat(self._descriptor).st_size
            last = os.pread(self._descriptor, 1, self._size - 1) if self._size else b""
        except OSError as error:
            raise self._error(error) from error
        self.append(_missing_newline(last))

    def append(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            if self._is_durable:
                os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)  # leave no half line
            raise self._error(error) from error
        self._size += len(data)

    def close(self) -> None:
        os.close(self._descriptor)

    def _error(self, error: OSError) -> WriteError:
        remedy = remedy_for(error, when_full=self._remedy)
        return WriteError(f"{self._path} cannot be written: {os_reason(error)}; {remedy}")


def _missing_newline(content: bytes) -> bytes:
    return b"" if not content or content.endswith(b"\n") else b"\n"
