"""Folder: files by name below a local path or a URL, read, listed and replaced atomically."""

import contextlib
import dataclasses
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import pyarrow
import pyarrow.fs

from common.errors import ConfigError, require, require_no_password
from common.storage.atomic import WriteError, replace_file
from common.text import one_line


@dataclasses.dataclass(frozen=True, order=True)
class FileStatus:
    """Name, size and time of a file."""

    name: str
    """Path relative to the folder, with slashes."""
    size: int
    """Bytes."""
    modified_ns: int | None
    """Time of the last change since 1970; None where the file system does not report it."""


class Folder:
    """Files by name below one local path (also NFS) or URL such as `s3://bucket/path`.

    `flag`: what messages call the folder, usually the flag that named it.

    Raises: ConfigError for a URL that holds a password or that no installed file system understands.
    """

    def __init__(self, location: str, *, flag: str = "--storage") -> None:
        require(bool(location.strip()), f"{flag} must name a folder or URL, not ''; try runs")
        require(
            re.match(r"[a-z][a-z0-9+.-]+:/(?!/)", location) is None,
            f"{flag} {location} is neither a folder nor a URL; a URL has two slashes: "
            + location.replace(":/", "://", 1),
        )
        require_no_password(flag, location, "use a profile (~/.aws/credentials) or the machine's role")
        self.is_local = "://" not in location or location.startswith("file://")
        if self.is_local:
            # absolute, since Ray's workers have another working directory
            self.location = str(Path(location.removeprefix("file://")).expanduser().absolute())
            self._files, self._root = pyarrow.fs.LocalFileSystem(), self.location
        else:
            self.location = location.rstrip("/")
            self._files, self._root = _resolve(self.location, flag)

    @property
    def filesystem_path(self) -> str:
        """The folder's path within its pyarrow file system: a URL without its scheme."""
        return self._root

    def child(self, name: str) -> "Folder":
        """The folder `name` inside this one; it is not created on the disk."""
        return Folder(f"{self.location}/{name}")

    def path(self, name: str) -> str:
        """Full path or URL of the file `name`, for messages."""
        return f"{self.location}/{name}"

    def write(self, name: str, data: bytes) -> None:
        """Replace the file `name` atomically; missing folders are created.

        Raises: WriteError when it cannot be written; the earlier file is intact.
        """
        _require_inside(name)
        if self.is_local:
            replace_file(Path(self.location) / name, data)
            return
        try:
            # an object store shows a file only after its stream was closed without an error
            with self._files.open_output_stream(f"{self._root}/{name}") as stream:
                stream.write(data)
        except (OSError, NotImplementedError) as error:  # such as a web server, which only reads
            raise WriteError(
                f"{self.path(name)} cannot be written: {one_line(error)}; check the URL and access rights"
            ) from error

    def remove_folder(self, name: str) -> None:
        """Remove the folder `name` with its contents; nothing happens when there is no such folder."""
        _require_inside(name)
        with contextlib.suppress(OSError):
            self._files.delete_dir(f"{self._root}/{name}")

    def remove_file(self, name: str) -> None:
        """Remove the file `name`; nothing happens when there is no such file."""
        with contextlib.suppress(OSError):
            self._files.delete_file(f"{self._root}/{name}")

    def read(self, name: str) -> bytes | None:
        """The file's bytes, None when there is no such file.

        Raises: ConfigError when it exists and cannot be read.
        """
        _require_inside(name)
        try:
            with self._files.open_input_stream(f"{self._root}/{name}", compression=None) as stream:
                data: bytes = stream.read()
                return data
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(
                f"{self.path(name)} cannot be read: {one_line(error)}; check its path and access rights"
            ) from None

    def open(self, name: str) -> Any:
        """The file, opened for reading at any place (pyarrow's `NativeFile`); the caller closes it.

        Raises: ConfigError when it cannot be opened.
        """
        _require_inside(name)
        try:
            return self._files.open_input_file(f"{self._root}/{name}")
        except OSError as error:
            raise ConfigError(
                f"{self.path(name)} cannot be read: {one_line(error)}; check its path and access rights"
            ) from None

    def status(self, name: str) -> FileStatus | None:
        """Size and time of the file `name`, None when there is no such file.

        Raises: ConfigError when the folder cannot be accessed.
        """
        _require_inside(name)
        try:
            info = self._files.get_file_info(f"{self._root}/{name}")
        except OSError as error:
            raise self._unlistable(name, error) from None
        return self._status_of(info) if info.is_file else None

    def list_files(self, name: str = "") -> list[FileStatus]:
        """All files below the folder `name`, sorted by name; empty when there is no such folder.

        On a disk, symbolic links to folders are not followed, and pipes and the like are left out.

        Raises: ConfigError when the folder, or one inside it, cannot be read.
        """
        try:
            if self.is_local:
                return sorted(self._walk(Path(self.location) / name))
            selector = pyarrow.fs.FileSelector(
                f"{self._root}/{name}".rstrip("/"), recursive=True, allow_not_found=True
            )
            return sorted(
                self._status_of(info) for info in self._files.get_file_info(selector) if info.is_file
            )
        except OSError as error:
            raise self._unlistable(name, error) from None

    def _walk(self, top: Path) -> Iterator[FileStatus]:
        def fail(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        for folder, _, names in os.walk(top, onerror=fail):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile, or a broken link
                    status = (Path(folder) / name).stat()
                    if stat.S_ISREG(status.st_mode):
                        relative = (Path(folder) / name).relative_to(self.location).as_posix()
                        yield FileStatus(relative, status.st_size, status.st_mtime_ns)

    def _status_of(self, info: pyarrow.fs.FileInfo) -> FileStatus:
        # fsspec's file systems differ in whether a path begins with a slash
        relative = info.path.lstrip("/").removeprefix(self._root.strip("/")).lstrip("/")
        return FileStatus(relative, info.size or 0, info.mtime_ns)

    def _unlistable(self, name: str, error: OSError) -> ConfigError:
        path = self.path(name).rstrip("/")
        return ConfigError(f"{path} cannot be listed: {one_line(error)}; check its path and access rights")


def is_inside(name: object) -> bool:
    """Whether a name, perhaps from an untrusted file, stays inside the folder: relative and without `..`."""
    if not isinstance(name, str) or "\0" in name:
        return False
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _require_inside(name: str) -> None:
    require(
        is_inside(name),
        f"{name!r} is not the name of a file inside a folder; give one without a leading / and without ..",
    )


def parse_json(data: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON file that holds a table; `name`: what errors call the file.

    Raises: ConfigError when it is not a JSON table.
    """
    try:
        values = json.loads(data)
    except ValueError as error:
        raise ConfigError(
            f"{name} is not a JSON file ({error}); give a config.json that a run or sweep wrote"
        ) from None
    require(isinstance(values, dict), f"{name} must hold a table of settings, not {type(values).__name__}")
    table: dict[str, Any] = values
    return table


def _resolve(url: str, flag: str) -> tuple[pyarrow.fs.FileSystem, str]:
    # pyarrow first: it supports S3, GCS and HDFS itself, where fsspec needs a package for each
    try:
        # a blank is no part of a URL, but of many names in buckets; pyarrow decodes it again
        files, root = pyarrow.fs.FileSystem.from_uri(url.replace(" ", "%20"))
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
        try:
            handler, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError, OSError, NotImplementedError) as error:
            raise ConfigError(
                f"{flag} {url} cannot be used: {one_line(error)}; give a folder or an s3:// URL"
            ) from None
        files = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(handler))
    return files, root.rstrip("/")
