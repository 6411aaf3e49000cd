"""What a batch leaves behind as it goes: lines in the manifest, files of far workers, the contact sheet."""

import contextlib
from collections.abc import Mapping

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.throttle import Pace
from styletransfer.execution.messages import Drawn
from styletransfer.planning.manifest import Entry, Manifest, read_manifest
from styletransfer.planning.plan import Plan
from styletransfer.report.contact_sheet import write_sheet

SECONDS_BETWEEN_SHEETS = 30.0
_SHARE_OF_TIME = 0.01  # of a large folder the sheet takes longer, and is written less often
_MOST_UNWRITTEN_IN_A_ROW = 5


class BatchError(Exception):
    """The batch cannot go on; the message is one line with the reason."""


class Ledger:
    """Records every pair as it ends, and counts."""

    def __init__(self, plan: Plan, manifest: Manifest) -> None:
        self._plan, self._manifest = plan, manifest
        self.done = self.failed = 0
        self.seconds = 0.0
        """Of optimization, over all pairs done."""
        self.first_error = ""
        self._unwritten_in_a_row = 0
        self._pace = Pace(SECONDS_BETWEEN_SHEETS, _SHARE_OF_TIME, is_due_at_once=False)

    @property
    def total(self) -> int:
        """Pairs that this batch has to do."""
        return len(self._plan.todo)

    @property
    def ended(self) -> int:
        """Pairs done or failed so far."""
        return self.done + self.failed

    def record(self, drawn: Drawn) -> None:
        """Write what is to be written of a pair, and its line in the manifest.

        Raises: BatchError when the manifest cannot be written, or nothing could be several times in a row.
        """
        try:
            self.write(drawn.files)
        except WriteError as error:
            drawn = Drawn(pair=drawn.pair, output=drawn.output, error=str(error), is_unwritable=True)
        try:
            self._manifest.record(self._entry(drawn))
        except WriteError as error:
            raise BatchError(str(error)) from error
        self.seconds += drawn.seconds or 0
        if drawn.error is None:
            self.done += 1
        else:
            self.failed += 1
            self.first_error = self.first_error or f"{_named(drawn)}: {drawn.error}"
        self._unwritten_in_a_row = self._unwritten_in_a_row + 1 if drawn.is_unwritable else 0
        if self._unwritten_in_a_row >= _MOST_UNWRITTEN_IN_A_ROW:
            raise BatchError(f"{self._unwritten_in_a_row} pictures in a row: {drawn.error}")

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write what a worker could not write itself.

        Raises: WriteError when the disk is full or the like.
        """
        for name, data in files.items():
            self._plan.request.out.write(name, data)

    def write_sheet_if_due(self) -> None:
        """Bring the contact sheet up to date, now and then."""
        if self._pace.is_due():
            with self._pace.taken():
                self._manifest.flush()
                self.write_sheet()

    def write_sheet(self) -> None:
        """Bring the contact sheet up to date; where there is no room for it, the old one stays."""
        with contextlib.suppress(WriteError, ConfigError):
            write_contact_sheet(self._plan)

    def _entry(self, drawn: Drawn) -> Entry:
        plan, pair = self._plan, drawn.pair
        return Entry(
            content=pair.content,
            style=pair.style,
            variant=pair.variant,
            output=drawn.output,
            state="done" if drawn.error is None else "failed",
            error=drawn.error,
            notes=drawn.notes,
            seconds=drawn.seconds,
            losses=drawn.losses,
            size_px=drawn.size_px,
            seed=plan.request.variants[pair.variant].seed,
            content_digest=plan.content_digests[pair.content],
            style_digest=plan.style_digests[pair.style],
            settings_hash=plan.settings_hashes[pair.variant],
            weights_hash=plan.weights_hashes[pair.variant],
        )


def write_contact_sheet(plan: Plan) -> None:
    """Write `index.html` as the manifest tells; its entries are read anew, so that none are kept meanwhile.

    Raises: WriteError when the folder cannot be written; ConfigError when it cannot be read.
    """
    request = plan.request
    config = next(iter(request.variants.values()))
    facts = {
        "size": f"{config.size} px",
        "iterations": str(config.iterations),
        "network": next(iter(request.networks.values())).name,
        "style weight": f"{config.style_weight:g}",
    }
    if len(request.variants) > 1:
        swept = {part.partition("=")[0] for variant in request.variants for part in variant.split(", ")}
        facts = {name: value for name, value in facts.items() if name.replace(" ", "-") not in swept}
    write_sheet(request.out, plan.outputs, read_manifest(request.out), facts=facts)


def _named(drawn: Drawn) -> str:
    variant = f", {drawn.pair.variant}" if drawn.pair.variant else ""
    return f"{drawn.pair.content} in the style of {drawn.pair.style}{variant}"
