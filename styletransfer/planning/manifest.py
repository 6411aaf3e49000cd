"""The manifest of an output folder: an append-only log of the pairs that were done or failed.

`manifest.jsonl` gets one line each time a pair is done or fails. The last line of a pair counts. Lines torn
by a crash are ignored, so their pairs are done again; so are lines whose picture would be outside the folder.
"""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from common.cli.signals import deferred
from common.storage.append_log import AppendedLines
from common.storage.folder import Folder, is_inside
from common.storage.lock import FolderLock
from styletransfer.planning.pairs import Pair

MANIFEST_NAME = "manifest.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One line: a pair that was done or failed."""

    content: str
    style: str
    variant: str = ""
    output: str
    """Relative path of the picture."""
    state: Literal["done", "failed"]
    error: str | None = None
    """Why it failed."""
    notes: tuple[str, ...] = ()
    """What was left out, assumed or done differently."""
    seconds: float | None = None
    losses: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    """Name -> last value; None where it was not finite."""
    size_px: tuple[int, int] | None = None
    """(width, height) of the output picture."""
    seed: int | None = None
    content_digest: str = ""
    style_digest: str = ""
    settings_hash: str = ""
    weights_hash: str = ""
    content_source: str = ""
    """Key of the folder that the content was in (`Inputs.source_key`); '' in lines of earlier versions."""
    style_source: str = ""
    threads: int | None = None
    """CPU threads of the worker, on which the last digits depend; None on a GPU and in earlier lines."""
    time: float = dataclasses.field(default_factory=time.time)
    """Seconds since 1970."""

    @property
    def pair(self) -> Pair:
        """The pair that the line is about."""
        return Pair(self.content, self.style, self.variant)


class Manifest(AppendedLines):
    """Appends entries to the manifest of an output folder, a path or a URL; use it in a `with` block.

    On a disk every entry is durable when `record` returns. An object store cannot append: a driver that is
    killed loses its last lines there, and the next run does these pairs again.
    """

    def __init__(self, folder: Folder, seconds_between_writes: float = 30.0) -> None:
        super().__init__(
            folder,
            MANIFEST_NAME,
            remedy="free some space, then start again",
            is_durable=True,
            seconds_between_writes=seconds_between_writes,
        )

    def record(self, entry: Entry) -> None:
        """Add one entry at the end.

        Raises: WriteError when the disk is full or the like; earlier entries stay intact.
        """
        self.append(_to_line(entry))


def read_manifest(folder: Folder) -> dict[Pair, Entry]:
    """The last entry of each pair; empty without a manifest.

    Raises: ConfigError when the manifest exists and cannot be read.
    """
    return {entry.pair: entry for entry in _parse(folder.read(MANIFEST_NAME) or b"")}


@contextlib.contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Lock an output folder against other batches within the block; a killed process lets go.

    Raises: ConfigError when another batch holds the lock, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        # on a disk it takes a moment, and a lock that is taken halfway would stay
        with deferred() if folder.is_local else contextlib.nullcontext():
            remedy = "wait until it ends or choose another folder"
            stack.enter_context(FolderLock(folder, who="batch", remedy=remedy))
        yield


def _to_line(entry: Entry) -> bytes:
    fields = _finite({field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)})
    # ASCII: names that are not UTF-8 survive the round trip
    return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _parse(content: bytes) -> Iterator[Entry]:
    known = {field.name for field in dataclasses.fields(Entry)}
    for line in content.split(b"\n"):
        # a torn line is not JSON or lacks fields; fields of newer versions are ignored
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            fields = {name: value for name, value in json.loads(line).items() if name in known}
            fields["notes"] = tuple(fields.get("notes", ()))
            if fields.get("size_px"):
                width, height = fields["size_px"]
                fields["size_px"] = (width, height)
            entry = Entry(**fields)
            is_sound = all(isinstance(name, str) for name in entry.pair) and is_inside(entry.output)
            if entry.state in ("done", "failed") and is_sound:
                yield entry


def _finite(value: Any) -> Any:
    # JSON has no NaN; NumPy's scalars become Python's
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
