"""Claims the folder of a sweep or run: created, locked, and removed again if nothing ever began in it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from common.cli.signals import deferred
from common.storage.folder import Folder
from common.storage.lock import HOLDER_NAME, LOCK_NAME, FolderLock


@contextlib.contextmanager
def claimed(
    folder: Folder, *, who: str, remedy: str, has_begun: Callable[[], bool] | None = None
) -> Iterator[FolderLock]:
    """Create and lock `folder` within the block.

    who: what else may hold the lock, for messages. remedy: ends that message. has_begun: asked when the block
    fails: without a beginning, all that was written since is removed, and the name can be used again. None
    keeps everything.

    Raises: ConfigError when another process holds it; WriteError when the folder cannot be written.
    """
    absent = _absent(folder.location) if folder.is_local else []
    is_empty = False
    try:
        with contextlib.ExitStack() as stack:
            earlier: set[str] | None = None
            try:
                # on a disk it takes a moment, and a lock that is taken halfway would stay
                with deferred() if folder.is_local else contextlib.nullcontext():
                    lock = stack.enter_context(FolderLock(folder, who=who, remedy=remedy))
                    earlier = _contents(folder) if has_begun is not None else None
                yield lock
            except BaseException:
                if has_begun is not None and earlier is not None and not has_begun():
                    _remove(folder, _contents(folder) - earlier)
                    is_empty = not earlier
                raise
    except BaseException:
        if is_empty and folder.is_local:
            folder.remove_file(LOCK_NAME)
        elif is_empty:
            parent, _, name = folder.location.rpartition("/")
            Folder(parent).remove_folder(name)
        for path in absent:
            with contextlib.suppress(OSError):  # it is not empty
                path.rmdir()
        raise


def _absent(location: str) -> list[Path]:
    """The folder and those of its parents that do not exist, the innermost first."""
    path = Path(location)
    return [each for each in (path, *path.parents) if not os.access(each, os.F_OK)]


def _contents(folder: Folder) -> set[str]:
    """Names of all files, and on a disk of all folders, except those of the lock."""
    found = {file.name for file in folder.list_files()}
    if folder.is_local:
        root = Path(folder.location)
        found |= {path.relative_to(root).as_posix() for path in root.rglob("*")}
    return found - {LOCK_NAME, HOLDER_NAME}


def _remove(folder: Folder, names: set[str]) -> None:
    for name in sorted(names, reverse=True):  # a folder after what is in it
        path = Path(folder.location, name)
        if folder.is_local and path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.rmdir()
        else:
            folder.remove_file(name)
