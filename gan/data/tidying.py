"""Keeps the cache of decoded images and of features within a size: what was unused for longest is removed."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAX_BYTES = 50_000_000_000
"""The most that the cache keeps, unless what was used within a day is larger."""
KEPT_S = 24 * 3600.0
"""What was used within this time stays: a process may be about to open it."""
LEFT_OVER_S = 7 * 24 * 3600.0
"""A folder that is still being written after this time was left by a process that was killed."""

STORE_FILE = "store.json"
FEATURES = "references"


class _Item(NamedTuple):
    used_s: float
    """When it was last used, in seconds since 1970."""
    num_bytes: int
    path: Path


def note_use(path: Path) -> None:
    """Note that a store, or a file of features, is used now."""
    with contextlib.suppress(OSError):  # a cache that may only be read
        os.utime(path / STORE_FILE if path.is_dir() else path)


def tidy(cache: Path, *, max_bytes: int | None = None, now_s: float | None = None) -> list[Path]:
    """Remove what was not used for longest until the cache holds at most `max_bytes`, default `MAX_BYTES`.

    A process that has mapped a removed store keeps it until it ends. Only what this program has written is
    looked at, since a cache folder may hold other files.

    Returns: what was removed.
    """
    now_s = time.time() if now_s is None else now_s
    limit = MAX_BYTES if max_bytes is None else max_bytes
    removed: list[Path] = []
    with contextlib.suppress(OSError):  # another process tidies at the same time
        old = [each for each in cache.glob("*.partial") if each.stat().st_mtime < now_s - LEFT_OVER_S]
        removed += map(_remove, old)
        items = sorted(_items(cache))
        total = sum(item.num_bytes for item in items)
        for item in items:
            if total <= limit or item.used_s > now_s - KEPT_S:
                break
            removed.append(_remove(item.path))
            total -= item.num_bytes
    return removed


def _items(cache: Path) -> Iterator[_Item]:
    for mark in cache.glob(f"*/{STORE_FILE}"):
        if mark.parent.suffix == ".partial":
            continue
        sizes = sum(path.stat().st_size for path in mark.parent.iterdir())
        yield _Item(mark.stat().st_mtime, sizes, mark.parent)
    for path in (cache / FEATURES).glob("*"):
        yield _Item(path.stat().st_mtime, path.stat().st_size, path)


def _remove(path: Path) -> Path:
    if path.is_dir():
        # first what makes it a store: half of one is never opened
        (path / STORE_FILE).unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return path
