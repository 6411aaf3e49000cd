"""The pictures of a zip or an uncompressed tar, read where they are: nothing is unpacked to the disk."""

import io
import shlex
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from common.errors import ConfigError, require
from common.image_files import MAX_BYTES, SUFFIXES, UnreadableError, is_picture, other_files
from common.text import one_line
from gan.data.folders import is_shown, other_kinds, pictures_of
from gan.data.picture_list import PictureList, Source

ENDINGS = (".zip", ".tar")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar", ".gz")
_BUFFER = 2**20

Members = dict[str, Callable[[], bytes]]


def is_archive(path: Path) -> bool:
    """Whether the file is a zip or a tar, by its content."""
    try:
        return _is_tar(path) or zipfile.is_zipfile(path)
    except OSError:
        return False


def why_not(path: Path) -> str:
    """What to do about a file that is neither a zip nor a tar, as the end of a message."""
    if path.name.lower().endswith(_COMPRESSED):
        target = path.with_name(path.name.partition(".")[0])
        folder, file = shlex.quote(str(target)), shlex.quote(str(path))
        if ".tar" in path.name.lower() or path.name.lower().endswith(".tgz"):
            return f"unpack it first (mkdir {folder} && tar -xf {file} -C {folder}) and give that folder"
        return "unpack it first and give that folder"
    return "give the folder that contains it"


def archive_source(path: Path, limit: int | None) -> Source:
    """Pictures anywhere in a zip or tar, at most `limit`, evenly spread over their sorted names.

    Raises: ConfigError, when it is opened, for a damaged archive and for one without pictures.
    """
    kind = "tar" if _is_tar(path) else "zip"  # a tar may end in a zip

    def members() -> Members:
        return zip_members(path, str(path)) if kind == "zip" else _tar_members(path)

    return Source(
        identity=kind,
        files={"": path},
        open=lambda: pictures_in(members(), str(path), limit),
        others=lambda: other_kinds(members()),
    )


def pictures_in(members: Members, where: str, limit: int | None) -> PictureList:
    """The pictures among an archive's files.

    Raises: ConfigError when there are none.
    """
    others = other_kinds(members)
    has_archives = any(name.lower().endswith((*ENDINGS, *_COMPRESSED)) for name in members)
    require(
        any(map(is_picture, members)),
        f"--data {where} holds no pictures ({' '.join(sorted(SUFFIXES))}){'; ' * bool(others)}"
        f"{other_files(others)}; "
        + ("unpack the archives in it and give that folder" if has_archives else "add some"),
    )
    return pictures_of(members, lambda name: members[name](), limit)


def zip_members(file: Path | BinaryIO, where: str) -> Members:
    """How to read each file of a zip that is not hidden.

    Raises: ConfigError for a damaged zip.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ConfigError(f"--data {where} is a damaged zip ({error}); make it again") from None

    def reader(member: zipfile.ZipInfo) -> Callable[[], bytes]:
        def read() -> bytes:
            _check_size(member.file_size)
            return archive.read(member)

        return read

    # members are only read into memory: a name such as ../../x never reaches the disk
    return {m.filename: reader(m) for m in archive.infolist() if not m.is_dir() and is_shown(m.filename)}


def _tar_members(path: Path) -> Members:
    try:
        with tarfile.open(path, "r:") as archive:
            members = [m for m in archive if m.isreg() and is_shown(m.name)]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ConfigError(f"--data {path} is a damaged tar ({one_line(error)}); make it again") from None

    def reader(member: tarfile.TarInfo) -> Callable[[], bytes]:
        def read() -> bytes:
            _check_size(member.size)
            with path.open("rb") as file:  # one for each thread
                file.seek(member.offset_data)
                return file.read(member.size)

        return read

    return {m.name.removeprefix("./"): reader(m) for m in members}


def _is_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:"):
            return True
    except (tarfile.TarError, EOFError):
        return False


def buffered(file: io.RawIOBase) -> BinaryIO:
    """The file read in blocks of a megabyte, where each read is a request."""
    return io.BufferedReader(file, _BUFFER)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise UnreadableError(f"over {MAX_BYTES:,} bytes")
