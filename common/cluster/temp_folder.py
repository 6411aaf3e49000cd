"""Checks the folder in which Ray, started on this machine, makes its sockets; needs no Ray."""

import os

from common.errors import require

LONGEST_SOCKET = 107
"""Most bytes of a Unix socket's path on Linux."""
# Ray 2.60: session_<date and time>_<process>/sockets/plasma_store
_SESSION = "ray/session_2026-01-01_00-00-00_000000_{pid}/sockets/plasma_store"


def check_temp_folder() -> None:
    """Raise `ConfigError` where the path of the temporary folder is too long for Ray's sockets."""
    name = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    folder = os.environ.get(name, "/tmp")
    path = os.path.join(folder, _SESSION.format(pid=os.getpid()))  # noqa: PTH118 - as Ray joins them
    longest = LONGEST_SOCKET - (len(os.fsencode(path)) - len(os.fsencode(folder)))
    require(
        len(os.fsencode(path)) <= LONGEST_SOCKET,
        f"{name} may have at most {longest} characters, since Ray makes its sockets there, not "
        f"{len(os.fsencode(folder))} ({folder}); put RAY_TMPDIR=/tmp before the command",
    )
