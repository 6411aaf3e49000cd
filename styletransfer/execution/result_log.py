"""Records how pairs ended: lines of the manifest, files that workers could not write, the contact sheet."""

import contextlib
import dataclasses
import time
from collections.abc import Mapping

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.throttle import Throttle
from styletransfer.planning.manifest import Entry, Manifest
from styletransfer.planning.pairs import Pair
from styletransfer.planning.plan import BatchPlan
from styletransfer.report.contact_sheet import write_contact_sheet

SECONDS_BETWEEN_SHEETS = 30.0
_SHARE_OF_TIME = 0.01  # the sheet of a large folder takes longer, and is written less often
_MOST_UNWRITTEN_IN_A_ROW = 5


class BatchError(Exception):
    """The batch cannot continue; the message is one line with the reason."""


class ResultLog:
    """Records every pair as it ends, and counts."""

    def __init__(self, plan: BatchPlan, manifest: Manifest) -> None:
        self._plan, self._manifest = plan, manifest
        self.total = len(plan.stale)
        """Pairs that this batch has to stylize."""
        self.done = self.failed = 0
        self.seconds = 0.0
        """Of optimization, over all pairs done."""
        self.first_error = ""
        self._unwritten_in_a_row = 0
        self._throttle = Throttle(SECONDS_BETWEEN_SHEETS, _SHARE_OF_TIME, is_due_at_once=False)

    def entry(self, pair: Pair, *, error: str | None = None, notes: tuple[str, ...] = ()) -> Entry:
        """The pair's line in the manifest: failed by `error`, or done, as far as known beforehand."""
        return self._plan.entry(pair, error=error, notes=notes)

    def record(self, entry: Entry, files: Mapping[str, bytes] | None = None) -> None:
        """Write the files of a pair that its worker could not write, and its line in the manifest.

        Raises: BatchError when the manifest, or several pictures in a row, cannot be written.
        """
        unwritten = self.write(files or {}).get(entry.output)
        if unwritten is not None:
            entry = self.entry(entry.pair, error=unwritten, notes=entry.notes)
        try:
            self._manifest.record(dataclasses.replace(entry, time=time.time()))
        except WriteError as error:
            raise BatchError(str(error)) from error
        self.seconds += entry.seconds or 0
        self.done += entry.error is None
        self.failed += entry.error is not None
        if entry.error is not None and not self.first_error:
            variant = f", {entry.variant}" if entry.variant else ""
            self.first_error = f"{entry.content} in the style of {entry.style}{variant}: {entry.error}"
        self._unwritten_in_a_row = 0 if unwritten is None else self._unwritten_in_a_row + 1
        if self._unwritten_in_a_row >= _MOST_UNWRITTEN_IN_A_ROW:
            raise BatchError(f"{self._unwritten_in_a_row} pictures in a row: {unwritten}")

    def write(self, files: Mapping[str, bytes]) -> dict[str, str]:
        """Write files into the output folder; returns name -> reason of those that could not be written."""
        unwritten = {}
        for name, data in files.items():
            try:
                self._plan.request.out.write(name, data)
            except WriteError as error:
                unwritten[name] = str(error)
        return unwritten

    def write_sheet_if_due(self) -> None:
        """Update the contact sheet from time to time."""
        if self._throttle.is_due():
            with self._throttle.timed():
                self._manifest.flush()
                self.write_sheet()

    def write_sheet(self) -> None:
        """Update the contact sheet; if it cannot be written, such as on a full disk, the old one stays."""
        with contextlib.suppress(WriteError, ConfigError):
            write_contact_sheet(self._plan)
