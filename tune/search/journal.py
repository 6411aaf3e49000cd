"""Optuna's journal, which holds a study: as a file that outlives kills and full disks, or at a URL."""

import contextlib
import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from common.text import one_line, os_reason

JOURNAL_NAME = "study.journal"
# A lock is held for one write; what is older was left by a killed process.
_LOCK_GRACE_S = 10


class FileJournal(JournalFileBackend):
    """A journal file that never keeps half a line, which would make the study unreadable after the next one.

    Its lock is a plain file: Optuna 5's default, a symbolic link, waits for ever after a kill when the
    journal's path is a relative one, and three times as long as needed else.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            super().__init__(str(path), JournalFileOpenLock(str(path), grace_period=_LOCK_GRACE_S))
            self._mend()
        except OSError as error:
            raise self._error(error) from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries.

        Raises: WriteError in one line when the disk is full or the like; what was there before is intact.
        """
        try:
            super().append_logs(logs)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._mend()
            raise self._error(error) from error

    def _mend(self) -> None:
        self._lock.acquire()
        try:
            with Path(self._file_path).open("rb+") as file:
                content = file.read()
                file.truncate(content.rfind(b"\n") + 1)
        finally:
            self._lock.release()

    def _error(self, error: OSError) -> WriteError:
        reason = os_reason(error)
        return WriteError(
            f"the study {self._file_path} cannot be written: {reason}; free some space, then resume"
        )


class ObjectJournal(BaseJournalBackend):
    """A journal at a URL: kept in memory, written whole at most every so many seconds and at `flush`."""

    def __init__(self, folder: Folder, seconds_between_writes: float = 30.0) -> None:
        self._folder, self._interval_s = folder, seconds_between_writes
        self._lines = [line.decode() for line in (folder.read(JOURNAL_NAME) or b"").splitlines()]
        self._next_write_s = time.monotonic() + seconds_between_writes
        self._is_written = True

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The entries from a number on."""
        for line in self._lines[log_number_from:]:
            yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries."""
        self._lines += [json.dumps(log, separators=(",", ":")) for log in logs]
        self._is_written = False
        if time.monotonic() >= self._next_write_s:
            self.flush()

    def flush(self) -> None:
        """Write what the URL does not have yet."""
        if not self._is_written:
            self._folder.write(JOURNAL_NAME, "".join(f"{line}\n" for line in self._lines).encode())
            self._is_written = True
            self._next_write_s = time.monotonic() + self._interval_s


class StudyStorage:
    """Where a study lies: the journal in the sweep's folder, or any storage URL of Optuna.

    Raises: ConfigError in one line when the storage URL cannot be opened; WriteError for the folder.
    """

    def __init__(self, location: str | Path, url: str | None = None) -> None:
        self._object_journal: ObjectJournal | None = None
        if url is not None:
            self.storage = _open_url(url)
            return
        folder = Folder(str(location))
        if folder.is_local:
            self.storage = optuna.storages.JournalStorage(FileJournal(Path(folder.path(JOURNAL_NAME))))
        else:
            self._object_journal = ObjectJournal(folder)
            self.storage = optuna.storages.JournalStorage(self._object_journal)

    def flush(self) -> None:
        """Write what an object store does not have yet."""
        if self._object_journal is not None:
            self._object_journal.flush()


def _open_url(url: str) -> Any:
    try:
        return optuna.storages.get_storage(url)
    except Exception as error:  # each database driver raises its own types
        problem = one_line(error)
        raise ConfigError(f"the study's storage {url} cannot be opened: {problem}; check the URL") from None
