"""Reads a sweep's journal while the sweep writes it, without its lock and without writing anything."""

import json
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from common.errors import ConfigError, require
from common.storage.folder import Folder
from common.throttle import Throttle
from tune.search.journal import JOURNAL_NAME

SECONDS_BETWEEN_DOWNLOADS = 10.0
_SHARE_OF_TIME = 0.1


class ReadJournal(BaseJournalBackend):
    """The complete lines of a sweep's journal; a line that the sweep is writing is read the next time.

    From an object store the journal is read as a whole, and therefore less often.

    Raises: ConfigError when there is no journal.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lines: list[bytes] = []
        self._size = 0
        self._lock = threading.Lock()
        self._throttle = Throttle(SECONDS_BETWEEN_DOWNLOADS, _SHARE_OF_TIME)
        require(
            folder.status(JOURNAL_NAME) is not None,
            f"{folder.location} has no study: {JOURNAL_NAME} is missing; if it is in a database, say so with "
            "--study",
        )

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The entries, starting at a number."""
        with self._lock:
            self._refresh()
            lines = self._lines[log_number_from:]
        for line in lines:
            yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Nothing is ever written.

        Raises: ConfigError.
        """
        raise ConfigError("the dashboard only shows a study; nothing can be changed in it")

    def _refresh(self) -> None:
        data = self._new_data()
        end = data.rfind(b"\n") + 1
        self._lines += data[:end].splitlines()
        self._size += end

    def _new_data(self) -> bytes:
        if self._folder.is_local:
            try:
                with Path(self._folder.path(JOURNAL_NAME)).open("rb") as file:
                    file.seek(self._size)
                    return file.read()
            except FileNotFoundError:  # the sweep was removed: what was read stays
                return b""
        if not self._throttle.is_due():
            return b""
        with self._throttle.timed():
            return (self._folder.read(JOURNAL_NAME) or b"")[self._size :]
