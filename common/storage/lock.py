"""Locks a folder, on a disk or behind a URL, so that only one process at a time writes into it.

On a disk the lock is the kernel's (flock), which a process loses when it dies. An object store has none:
there the holder renews a small file every few seconds, and one that is no longer renewed is taken over.
"""

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Self

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from common.text import os_reason

LOCK_NAME = ".lock"
HOLDER_NAME = ".lock.json"

# file systems without flock, on which the folder is locked like one behind a URL
_WITHOUT_FLOCK = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that holds a lock."""

    host: str
    pid: int
    since: str
    """Time in UTC at which it took the lock."""
    token: str
    """Differs for each lock that is taken."""
    machine: str = ""
    """Where `pid` is valid: the kernel's boot and the process's namespace; empty where unknown."""
    started: str = ""
    """When the process started, since another one may get its pid."""
    beat: int = 0
    """Counts the renewals."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"

    @classmethod
    def this_process(cls) -> Self:
        """A new holder: this process, from now on."""
        return cls(
            host=socket.gethostname(),
            pid=os.getpid(),
            since=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            token=secrets.token_hex(8),
            machine=_machine(),
            started=_start_of(os.getpid()),
        )

    def is_alive(self) -> bool | None:
        """Whether its process lives; None where this machine cannot know."""
        if not self.machine or self.machine != _machine():
            return None
        return _start_of(self.pid) == self.started

    def to_json(self) -> bytes:
        """The holder as a file."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LockTimes:
    """How often a lock behind a URL is renewed, and when it counts as left behind; in seconds."""

    beat_s: float = 5.0
    dead_after_s: float = 30.0
    settle_s: float = 1.0
    """How long a process that has taken a lock waits to see whether another one took it as well."""


class FolderLock:
    """Locks `folder`, which is created, against other processes; use it in a `with` block.

    Args:
        who: what else may hold the lock, for messages: `batch`.
        remedy: ends the message, after a semicolon.

    Raises: ConfigError, with host, pid and time, when another process holds it; WriteError when the folder
    cannot be written.
    """

    def __init__(self, folder: Folder, *, who: str, remedy: str, times: LockTimes | None = None) -> None:
        self._folder, self._who, self._remedy = folder, who, remedy
        self._times = times or LockTimes()
        self._me = Holder.this_process()
        self._descriptor: int | None = None
        self._is_over = threading.Event()
        self._heart: threading.Thread | None = None
        self.lost_to: Holder | None = None
        """Who has taken over the lock, because this process could not renew it for too long."""

    def __enter__(self) -> Self:
        try:
            if not (self._folder.is_local and self._lock_on_disk()):
                self._lock_by_heartbeat()
        except BaseException:  # such as a signal while it waits
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        if self._heart is not None:
            self._heart.join(timeout=self._times.dead_after_s)
        with contextlib.suppress(ConfigError):
            holder = read_holder(self._folder)
            if holder is not None and holder.token == self._me.token:
                self._folder.remove_file(HOLDER_NAME)
        if self._descriptor is not None:
            os.close(self._descriptor)  # which unlocks it
            self._descriptor = None

    # --- on a disk

    def _lock_on_disk(self) -> bool:
        """Lock it by the kernel; False where the file system cannot."""
        root = Path(self._folder.location)
        if root.exists() and not root.is_dir():
            raise ConfigError(f"{root} is a file; name a folder for the results")
        try:
            root.mkdir(parents=True, exist_ok=True)
            descriptor = self._flocked(root / LOCK_NAME)
        except OSError as error:
            raise WriteError(
                f"{root} cannot be written: {os_reason(error)}; choose a folder with write permission"
            ) from None
        if descriptor is None:
            return False
        self._descriptor = descriptor
        with contextlib.suppress(WriteError):  # on a full disk the lock holds, only without a name
            self._folder.write(HOLDER_NAME, self._me.to_json())
        return True

    def _flocked(self, path: Path) -> int | None:
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_nlink:  # else its last holder has removed it meanwhile
                    return descriptor
                os.close(descriptor)
            except OSError as error:
                os.close(descriptor)
                if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                    holder = read_holder(self._folder)
                    is_known = holder is not None and holder.is_alive() is not False
                    raise self._refusal(holder if is_known else None) from None
                if error.errno in _WITHOUT_FLOCK:
                    return None
                raise

    # --- behind a URL

    def _lock_by_heartbeat(self) -> None:
        holder = read_holder(self._folder)
        if holder is not None and holder.is_alive() is not False:
            self._wait_for_its_end(holder)
        self._folder.write(HOLDER_NAME, self._me.to_json())
        time.sleep(self._times.settle_s)
        holder = read_holder(self._folder)
        if holder is not None and holder.token != self._me.token:
            raise self._refusal(holder)
        self._heart = threading.Thread(target=self._renew, name="folder-lock", daemon=True)
        self._heart.start()

    def _wait_for_its_end(self, holder: Holder) -> None:
        """Return when the holder has let go, or has not renewed its lock for too long. Clocks may differ."""
        if holder.is_alive():
            raise self._refusal(holder)
        deadline = time.monotonic() + self._times.dead_after_s
        while time.monotonic() < deadline:
            time.sleep(self._times.beat_s / 5)
            now = read_holder(self._folder)
            if now is None:
                return
            if now != holder:
                raise self._refusal(now)

    def _renew(self) -> None:
        me = self._me
        while not self._is_over.wait(self._times.beat_s):
            # a store that does not answer now may do so at the next beat
            with contextlib.suppress(Exception):
                holder = read_holder(self._folder)
                if holder is not None and holder.token != me.token:
                    self.lost_to = holder
                    return
                me = dataclasses.replace(me, beat=me.beat + 1)
                self._folder.write(HOLDER_NAME, me.to_json())

    def _refusal(self, holder: Holder | None) -> ConfigError:
        who = f" ({holder})" if holder is not None else ""
        return ConfigError(
            f"{self._folder.location} is being written by another {self._who}{who}; {self._remedy}"
        )


def read_holder(folder: Folder) -> Holder | None:
    """Who holds the folder's lock, as far as its file says; None without a readable file.

    Raises: ConfigError when the folder cannot be read.
    """
    data = folder.read(HOLDER_NAME)
    with contextlib.suppress(ValueError, TypeError):
        return Holder(**json.loads(data)) if data is not None else None
    return None


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty when there is none."""
    try:
        # the name, in parentheses, may itself hold blanks and parentheses
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
