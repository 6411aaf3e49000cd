"""Storage URLs of Optuna studies: made absolute, and checked before anything is started."""

import io
import re
import socket
import urllib.parse
from pathlib import Path

from common.errors import ConfigError, require, require_no_password
from common.text import os_reason

CONNECT_TIMEOUT_S = 5.0
# sqlite:///relative, sqlite:////absolute
_SQLITE = re.compile(r"(sqlite(?:\+\w+)?://)/?([^?]*)(\?.*)?", re.DOTALL)
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "oracle": 1521, "mssql": 1433}
_SQLITE_HEADER = b"SQLite format 3\0"


def absolute_study_url(url: str) -> str:
    """The same URL, with an absolute path if it names an SQLite file, since a resume may run elsewhere.

    Raises: ConfigError when it is no URL, holds a password, or names a database in memory.
    """
    require(
        "://" in url,
        f"--study {url} is not a URL; give one such as sqlite:///studies.db or "
        "postgresql+psycopg://me@host/studies",
    )
    require_no_password("--study", url, "put it into ~/.pgpass for PostgreSQL")
    found = _SQLITE.fullmatch(url)
    if found is None or found[2].startswith("file:"):
        return url
    require(
        found[2] not in ("", ":memory:"),
        f"--study {url} is a database in memory, which ends with the sweep; give a file: sqlite:///studies.db",
    )
    return f"{found[1]}/{Path(found[2]).expanduser().absolute()}{found[3] or ''}"


def sqlite_file(url: str | None) -> Path | None:
    """The file of an absolute SQLite URL, None for other databases."""
    found = _SQLITE.fullmatch(url or "")
    return Path(found[2]) if found is not None and not found[2].startswith("file:") else None


def check_study_url(url: str, *, must_exist: bool) -> None:
    """Raise `ConfigError` when the file of an SQLite URL, or the server of another, cannot be used.

    must_exist: a resumed sweep needs the file that it has; SQLite itself would make an empty one.
    """
    path = sqlite_file(url)
    if path is None:
        _check_server(url)
        return
    require(
        path.is_file() or not must_exist,
        f"the study's file {path} is missing; if it has moved, say where with --study sqlite:///PATH",
    )
    require(path.parent.is_dir(), f"--study {url}: there is no folder {path.parent}; create it first")
    try:
        with path.open("rb") if path.exists() else io.BytesIO() as file:
            header = file.read(len(_SQLITE_HEADER))
    except OSError as error:
        raise ConfigError(f"--study {url} cannot be read: {os_reason(error)}; check its path") from None
    require(header in (b"", _SQLITE_HEADER), f"--study {url}: {path} is not an SQLite database; name another")


def _check_server(url: str) -> None:
    """Raise `ConfigError` when nothing answers at the URL's host and port: drivers wait for minutes."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    except ValueError:  # several hosts
        return
    if host is None or port is None:  # a socket, or a dialect that only its driver knows
        return
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S):
            pass
    except OSError as error:
        reason = "timed out" if isinstance(error, TimeoutError) else os_reason(error)
        raise ConfigError(
            f"--study {url}: no server answers at {host}:{port} ({reason}); start it or correct the URL"
        ) from None
