"""The folder of a sweep: its location, its lock, the settings of the sweep, and its sessions."""

import contextlib
import importlib.metadata
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import ConfigError, require
from common.storage.atomic import WriteError
from common.storage.folder import Folder, parse_json
from common.storage.lock import HOLDER_NAME, LOCK_NAME, FolderLock
from tune.config import SweepConfig
from tune.records.events import LOG_NAME, TrialStarted, read_events
from tune.space.space import Space
from tune.space.toml import parse_space, to_toml

SWEEP_FILE = "sweep.json"
STUDY_FILES = ("study.journal", "study.journal.lock")
_KEYS = ("config", "space", "sessions")


class SweepFolder:
    """`<storage>/<name>`, on a disk or behind a URL."""

    def __init__(self, storage: str, name: str) -> None:
        self.files = Folder(storage).child(name)
        self.location = self.files.location
        self.storage_path = self.location.rpartition("/")[0]
        self.name = name

    @classmethod
    def at(cls, location: str) -> "SweepFolder":
        """The folder at a path or URL that a user gave.

        Raises: ConfigError when no sweep was started there.
        """
        storage, _, name = Folder(location.rstrip("/")).location.rpartition("/")
        folder = cls(storage or "/", name)
        require(folder.exists(), f"{location} holds no sweep: {SWEEP_FILE} is missing; give a sweep's folder")
        return folder

    def exists(self) -> bool:
        """Whether a sweep was started here."""
        return self.files.read(SWEEP_FILE) is not None

    def relative(self, path: str) -> str:
        """A path below this folder, as pyarrow's file systems name it, made relative to this folder."""
        return str(PurePosixPath(path).relative_to(self.files.filesystem_path))

    @contextlib.contextmanager
    def claimed(self, *, is_new: bool) -> Iterator[FolderLock]:
        """Create and lock the folder within the block; a new sweep that fails before a trial leaves nothing.

        Raises: ConfigError when another process runs the sweep, or the folder cannot be written.
        """
        absent = _absent(self.location) if self.files.is_local else []
        is_empty = False
        try:
            with FolderLock(self.files, who="driver", remedy="wait until it ends, or stop it first") as lock:
                if is_new:
                    self._tidy_after_a_kill()
                earlier = self._contents() if is_new else set()
                try:
                    yield lock
                except BaseException:
                    if is_new and not self.has_begun():
                        self._remove_all_but(earlier)
                        is_empty = not earlier
                    raise
        except BaseException as error:
            self._remove_itself(absent, is_empty)
            if isinstance(error, WriteError) and not self.exists():
                raise ConfigError(f"--storage: {error}") from None
            raise

    def has_begun(self) -> bool:
        """Whether a trial was ever started."""
        return any(isinstance(event, TrialStarted) for event in read_events(self.location))

    def _tidy_after_a_kill(self) -> None:
        """Remove log and study of a driver that was killed while it started, before it had written settings."""
        if not self.exists() and self.files.status(LOG_NAME) is not None and not self.has_begun():
            for name in (LOG_NAME, *STUDY_FILES):
                self.files.remove_file(name)

    def _contents(self) -> set[str]:
        """Names of all files, and on a disk of all folders, except those of the lock."""
        found = {file.name for file in self.files.list_files()}
        if self.files.is_local:
            root = Path(self.location)
            found |= {path.relative_to(root).as_posix() for path in root.rglob("*")}
        return found - {LOCK_NAME, HOLDER_NAME}

    def _remove_all_but(self, earlier: set[str]) -> None:
        for name in sorted(self._contents() - earlier, reverse=True):  # a folder after what is in it
            self.files.remove_file(name)
            if self.files.is_local:
                with contextlib.suppress(OSError):
                    Path(self.location, name).rmdir()

    def _remove_itself(self, absent: list[Path], is_empty: bool) -> None:
        """Remove the folder if nothing is in it, and on a disk the `absent` ones that were created for it."""
        if is_empty and not self.files.is_local:
            Folder(self.storage_path).remove_folder(self.name)
        elif is_empty:
            self.files.remove_file(LOCK_NAME)
        for folder in absent:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()

    def begin(
        self, config: SweepConfig, space: Space, *, is_resumed: bool, study_name: str | None = None
    ) -> None:
        """Write the whole configuration, versions and git commit; a resumed sweep adds a session.

        study_name: of the Optuna study; default: the folder's name.

        Raises: WriteError when the folder cannot be written.
        """
        sessions = (self._read()["sessions"] if is_resumed else []) + [_session()]
        record = {
            "config": config.to_dict(),
            "space": to_toml(space),
            # the folder may be renamed
            "study_name": study_name or self.name,
            "sessions": sessions,
        }
        self.files.write(SWEEP_FILE, (json.dumps(record, indent=2) + "\n").encode())

    def study_name(self) -> str | None:
        """The name of the sweep's study; None in a folder of an earlier version, which did not save it."""
        found = self._read().get("study_name")
        return found if isinstance(found, str) else None

    def config(self) -> SweepConfig:
        """The settings of the last session.

        Raises: ConfigError when they are broken.
        """
        return SweepConfig.from_dict(self._read()["config"])

    def space(self, config: SweepConfig) -> Space:
        """The search space.

        Raises: ConfigError when it is broken.
        """
        return parse_space(self._read()["space"], self.files.path(SWEEP_FILE), config.gan)

    def session(self) -> str:
        """Suffix of this session's trial folders: empty in the first session, then .r1, .r2 and so on."""
        earlier = len(self._read()["sessions"]) - 1
        return f".r{earlier}" if earlier else ""

    def _read(self) -> dict[str, Any]:
        data = self.files.read(SWEEP_FILE)
        if data is None:
            raise ConfigError(f"{self.location} holds no sweep: {SWEEP_FILE} is missing")
        record = parse_json(data, self.files.path(SWEEP_FILE))
        missing = set(_KEYS) - set(record)
        require(
            not missing, f"{self.files.path(SWEEP_FILE)} lacks {', '.join(sorted(missing))}; is it a sweep's?"
        )
        return record


def _absent(location: str) -> list[Path]:
    """The folder and those of its parents that do not exist, the innermost first."""
    path = Path(location)
    return [each for each in (path, *path.parents) if not os.access(each, os.F_OK)]


def _session() -> dict[str, Any]:
    packages = ("artsweep", "ray", "torch", "optuna", "numpy", "pandas")
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    """The commit of the checkout that this code runs from, None when it is not a checkout."""
    here = Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
