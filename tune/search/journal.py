"""Storage of an Optuna study: a journal file that survives kills and full disks, one at a URL, a database."""

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
# A lock is held for one write; an older one was left by a killed process.
_LOCK_GRACE_S = 10


class FileJournal(JournalFileBackend):
    """A journal file that never keeps an incomplete line, after which the study would be unreadable.

    Its lock is a plain file: after a kill, Optuna 5's default, a symbolic link, waits for ever when the
    journal's path is relative, and otherwise three times as long as needed.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            super().__init__(str(path), JournalFileOpenLock(str(path), grace_period=_LOCK_GRACE_S))
            self._drop_incomplete_line()
        except OSError as error:
            raise self._error(error) from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries.

        Raises: WriteError in one line, such as when the disk is full; the entries before are intact.
        """
        try:
            super().append_logs(logs)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._drop_incomplete_line()
            raise self._error(error) from error

    def _drop_incomplete_line(self) -> None:
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
    """A journal at a URL: kept in memory, and written at most every few seconds and at `flush`."""

    def __init__(self, folder: Folder, seconds_between_writes: float = 30.0) -> None:
        self._folder, self._interval_s = folder, seconds_between_writes
        self._lines = [line.decode() for line in (folder.read(JOURNAL_NAME) or b"").splitlines()]
        self._next_write_s = time.monotonic() + seconds_between_writes
        self._is_written = True

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The entries, starting at a number."""
        for line in self._lines[log_number_from:]:
            yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries."""
        self._lines += [json.dumps(log, separators=(",", ":")) for log in logs]
        self._is_written = False
        if time.monotonic() >= self._next_write_s:
            self.flush()

    def flush(self) -> None:
        """Write the entries that are not yet at the URL."""
        if not self._is_written:
            self._folder.write(JOURNAL_NAME, "".join(f"{line}\n" for line in self._lines).encode())
            self._is_written = True
            self._next_write_s = time.monotonic() + self._interval_s


class StudyStorage:
    """Storage of a study: the journal in the sweep's folder, or any storage URL of Optuna.

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
        """Write entries that are not yet in an object store."""
        if self._object_journal is not None:
            self._object_journal.flush()


def _open_url(url: str) -> Any:
    try:
        return optuna.storages.get_storage(url)
    except Exception as error:  # each database driver raises its own types
        problem = one_line(error)
        raise ConfigError(f"the study's storage {url} cannot be opened: {problem}; check the URL") from None
