"""The folder of a sweep: its location, its lock, the settings of the sweep, and its sessions."""

import contextlib
import importlib.metadata
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import ConfigError, require
from common.storage.atomic import WriteError
from common.storage.claim import claimed
from common.storage.folder import Folder, parse_json
from common.storage.lock import FolderLock
from tune.config import SweepConfig
from tune.records.event_reading import read_events
from tune.records.events import LOG_NAME, TrialStarted
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
        has_begun = self.has_begun if is_new else None
        remedy, is_locked = "wait until it ends, or stop it first", False
        try:
            with claimed(self.files, who="driver", remedy=remedy, has_begun=has_begun) as lock:
                is_locked = True
                if is_new:
                    self._tidy_after_a_kill()
                yield lock
        except WriteError as error:
            if is_locked and self.exists():
                raise
            raise ConfigError(f"--storage: {error}") from None

    def has_begun(self) -> bool:
        """Whether a trial was ever started."""
        return any(isinstance(event, TrialStarted) for event in read_events(self.location))

    def _tidy_after_a_kill(self) -> None:
        """Remove log and study of a driver that was killed before it had written settings."""
        if not self.exists() and self.files.status(LOG_NAME) is not None and not self.has_begun():
            for name in (LOG_NAME, *STUDY_FILES):
                self.files.remove_file(name)

    def begin(
        self,
        config: SweepConfig,
        space: Space,
        *,
        is_resumed: bool,
        study_name: str | None = None,
        images: dict[str, Any] | None = None,
        network: str | None = None,
    ) -> None:
        """Write the whole configuration, versions and git commit; a resumed sweep adds a session.

        study_name: of the Optuna study; default: the folder's name. images: what `remember` says of them.
        network: what identifies the metric's, None for a metric without.

        Raises: WriteError when the folder cannot be written.
        """
        sessions = (self._read()["sessions"] if is_resumed else []) + [_session()]
        record = {
            "config": config.to_dict(),
            "space": to_toml(space),
            # the folder may be renamed
            "study_name": study_name or self.name,
            "images": images or {},
            "network": network,
            "sessions": sessions,
        }
        self.files.write(SWEEP_FILE, (json.dumps(record, indent=2) + "\n").encode())

    def study_name(self) -> str | None:
        """The name of the sweep's study; None in a folder of an earlier version, which did not save it."""
        found = self._read().get("study_name")
        return found if isinstance(found, str) else None

    def images(self) -> dict[str, Any]:
        """What the sweep remembers of its images; {} in a folder of an earlier version."""
        found = self._read().get("images")
        return found if isinstance(found, dict) else {}

    def network(self) -> str | None:
        """What identified the metric's network; None without one, and in a folder of an earlier version."""
        found = self._read().get("network")
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
        return parse_space(self._read()["space"], self.files.path(SWEEP_FILE), config.gan, is_new=False)

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
