"""Storage of an Optuna study: a journal file that survives kills and full disks, one at a URL, a database."""

import contextlib
import json
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock

from common.errors import ConfigError
from common.storage.atomic import WriteError, remedy_for
from common.storage.folder import Folder
from common.text import one_line, os_reason
from common.throttle import Throttle
from tune.search.study_url import sqlite_file

JOURNAL_NAME = "study.journal"
# A lock is held for one write; an older one was left by a killed process.
_LOCK_GRACE_S = 10
_SHARE_OF_TIME = 0.05  # a long journal takes an object store longer, and is written there less often
_OPEN_TIMEOUT_S = 20.0


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
        remedy = remedy_for(error, when_full="free some space, then resume")
        return WriteError(f"the study {self._file_path} cannot be written: {os_reason(error)}; {remedy}")


class MemoryJournal(BaseJournalBackend):
    """A copy of a sweep's journal in memory: what is added to it does not reach the sweep's folder."""

    def __init__(self, folder: Folder) -> None:
        content = folder.read(JOURNAL_NAME) or b""
        complete = content[: content.rfind(b"\n") + 1]  # a sweep may be writing its last line
        self._lines = [line.decode() for line in complete.splitlines()]

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The entries, starting at a number."""
        for line in self._lines[log_number_from:]:
            yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries."""
        self._lines += [json.dumps(log, separators=(",", ":")) for log in logs]


class ObjectJournal(MemoryJournal):
    """A journal at a URL: kept in memory, and written as a whole, seldom enough that it costs little.

    An object store cannot append. The sweep calls `flush` before its event log names a new trial there, and
    at its end; in between the journal is written at most every `seconds_between_writes`.
    """

    def __init__(self, folder: Folder, seconds_between_writes: float = 30.0) -> None:
        super().__init__(folder)
        self._folder = folder
        self._throttle = Throttle(seconds_between_writes, _SHARE_OF_TIME, is_due_at_once=False)
        self._is_written = True

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries, and write them when that is due."""
        super().append_logs(logs)
        self._is_written = False
        if self._throttle.is_due():
            self.flush()

    def flush(self) -> None:
        """Write the entries that are not yet at the URL."""
        if not self._is_written:
            with self._throttle.timed():
                self._folder.write(JOURNAL_NAME, "".join(f"{line}\n" for line in self._lines).encode())
            self._is_written = True


class StudyStorage:
    """Storage of a study: the journal in the sweep's folder, or any storage URL of Optuna.

    Args:
        is_copy: read the journal into memory and write nothing to it.

    Raises: ConfigError in one line when the storage URL cannot be opened; WriteError for the folder.
    """

    def __init__(self, location: str | Path, url: str | None = None, *, is_copy: bool = False) -> None:
        self._object_journal: ObjectJournal | None = None
        if url is not None:
            self.storage = _open_url(url)
            return
        folder = Folder(str(location))
        if is_copy:
            self.storage = optuna.storages.JournalStorage(MemoryJournal(folder))
        elif folder.is_local:
            self.storage = optuna.storages.JournalStorage(FileJournal(Path(folder.path(JOURNAL_NAME))))
        else:
            self._object_journal = ObjectJournal(folder)
            self.storage = optuna.storages.JournalStorage(self._object_journal)

    def flush(self) -> None:
        """Write entries that are not yet in an object store."""
        if self._object_journal is not None:
            self._object_journal.flush()

    def names(self) -> list[str]:
        """The names of all studies in it."""
        return list(optuna.get_all_study_names(self.storage))


def name_of_study(storage: StudyStorage, candidates: Sequence[str], *, is_shared: bool) -> str:
    """The name of a resumed sweep's study; sweeps of earlier versions did not save it.

    candidates: names that it may have, the likeliest first; the first one if the study is not there at all.
    is_shared: whether other sweeps may have studies in the same storage.
    """
    names = storage.names()
    only = names if len(names) == 1 and not is_shared else []
    return next((name for name in (*candidates, *only) if name in names), candidates[0])


def remove_study(url: str, name: str) -> None:
    """Remove a study whose sweep never began, and an SQLite file that holds no other; ignores failures."""
    with contextlib.suppress(Exception):
        storage = StudyStorage("", url)
        optuna.delete_study(study_name=name, storage=storage.storage)
        path = sqlite_file(url)
        if path is not None and not storage.names():
            path.unlink()


def _open_url(url: str) -> Any:
    """Optuna's storage at a URL; in a thread, since a server may accept a connection and never answer."""
    opened: list[Any] = []

    def open_it() -> None:
        try:
            opened.append(optuna.storages.get_storage(url))
        except Exception as error:  # each database driver raises its own types
            opened.append(error)

    thread = threading.Thread(target=open_it, name="open-study", daemon=True)
    thread.start()
    thread.join(_OPEN_TIMEOUT_S)
    problem = opened[0] if opened else TimeoutError(f"no answer within {_OPEN_TIMEOUT_S:.0f} s")
    if isinstance(problem, Exception):
        raise ConfigError(f"--study {url} cannot be opened: {one_line(problem)}; check the URL") from None
    return problem
