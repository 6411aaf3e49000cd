"""Finds out within seconds whether a folder can be used, before anything is started that needs it.

    python -m common.storage.reach s3://bucket/path --storage

reads from it once, in a process that can be ended: libraries of object stores try for minutes on end.
"""

import os
import subprocess
import sys

from common.errors import ConfigError, require
from common.storage.folder import Folder
from common.text import last_line

TIMEOUT_S = 20.0
_PROBE = ".artsweep-reach"


def check_reachable(location: str, *, flag: str = "--storage", timeout_s: float = TIMEOUT_S) -> None:
    """Raise `ConfigError` when `location` is a URL that does not answer, or that no other process can see.

    A folder on a disk is not touched. `flag` is what messages call the location.
    """
    scheme = location.partition("://")[0] if "://" in location else "file"
    if scheme == "file":
        return
    require(
        scheme != "memory",
        f"{flag} {location} would exist only in the memory of one process, and be lost with it; give a "
        "folder or a URL such as s3://bucket/path",
    )
    try:
        done = subprocess.run(
            [sys.executable, "-m", "common.storage.reach", location, flag],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{flag} {location} has not answered within {timeout_s:.0f} s; check the URL, the network and "
            "the access rights"
        ) from None
    require(done.returncode == 0, done.stdout.strip() or f"{flag} {location} cannot be used; check the URL")


def _main(location: str, flag: str) -> int:
    try:
        Folder(location, flag=flag).read(_PROBE)
    except ConfigError as error:
        print(f"{error}" if str(error).startswith(flag) else f"{flag}: {error}")
        return 1
    except Exception as error:  # each library of an object store raises its own types
        print(f"{flag} {location} cannot be used: {last_line(error)}; check the URL and the access rights")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
