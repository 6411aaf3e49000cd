"""Says whether a process holds a folder's lock, without taking it."""

import dataclasses
import time
from collections.abc import Callable
from typing import Literal

from common.storage.folder import Folder
from common.storage.lock import HOLDER_NAME, Holder, LockTimes, read_holder

State = Literal["held", "free", "left", "unknown"]
"""`left`: whoever held it died without letting go. `unknown`: it cannot be seen from this machine."""


@dataclasses.dataclass(frozen=True)
class LockState:
    """The state of a lock, and who holds it or left it."""

    state: State
    holder: Holder | None = None


def lock_state(
    folder: Folder,
    *,
    times: LockTimes | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> LockState:
    """Whether a process holds the lock; takes two renewals where that cannot be said at once.

    Of a process on this machine the kernel knows it. One on another machine renews the lock if the folder is
    behind a URL, or on a disk without flock; a lock by flock is not renewed, so that nothing is known of it.

    Raises: ConfigError when the folder cannot be read.
    """
    times = times or LockTimes()
    holder = read_holder(folder)
    if holder is None:
        return LockState("free")
    is_alive = holder.is_alive()
    if is_alive is not None:
        return LockState("held" if is_alive else "left", holder)
    status = folder.status(HOLDER_NAME)
    modified_ns = status.modified_ns if status is not None else None
    if modified_ns is not None and abs(clock() - modified_ns / 1e9) <= times.dead_after_s:
        return LockState("held", holder)
    if folder.is_local and holder.beat == 0:
        return LockState("unknown", holder)
    # the clocks of this machine and of the store may differ: only a renewal tells
    sleep(2 * times.beat_s)
    later = read_holder(folder)
    if later is None:
        return LockState("free")
    return LockState("left" if later == holder else "held", later)
