"""Pictures behind a URL such as s3://bucket/photos, a folder or a zip: read once, when they are decoded."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from common.errors import require
from common.image_files import MAX_BYTES, SUFFIXES, UnreadableError, is_picture, other_files
from common.storage.folder import FileStatus, Folder
from gan.data.folders import is_shown, other_kinds, pictures_of
from gan.data.picture_list import PictureList, Source
from gan.data.sources.archives import buffered, pictures_in, zip_members

_READS_AT_ONCE = 16  # they mostly wait for the network


def is_url(source: str) -> bool:
    """Whether `--data` names a place that is read through pyarrow or fsspec."""
    return "://" in source and not source.startswith("file://")


def url_source(url: str, limit: int | None) -> Source:
    """The pictures below a URL, or in the zip that it names, at most `limit`, evenly spread over their names.

    They are known by their names, sizes and times, so that a cache that has them reads none.

    Raises: ConfigError when the URL cannot be listed or has no pictures.
    """
    if url.lower().endswith(".zip"):
        return _zip_source(url, limit)
    folder = Folder(url, flag="--data")
    files = {file.name: file for file in folder.list_files() if is_shown(file.name)}
    others = other_kinds(files)
    require(
        any(map(is_picture, files)),
        f"--data {url} holds no pictures ({' '.join(sorted(SUFFIXES))}){'; ' * bool(others)}"
        f"{other_files(others)}; check the URL; a .tar must be unpacked",
    )

    def get(name: str) -> bytes:
        if files[name].size > MAX_BYTES:
            raise UnreadableError(f"{files[name].size:,} bytes, over the limit of {MAX_BYTES:,}")
        content = folder.read(name)
        if content is None:
            raise UnreadableError("no such file")
        return content

    def open_folder() -> PictureList:
        threads = ThreadPoolExecutor(_READS_AT_ONCE, thread_name_prefix="read")
        return pictures_of(files, get, limit, threads)

    content = _digest(file for file in files.values() if is_picture(file.name))
    return Source(identity="url", files={}, open=open_folder, others=lambda: others, content=content)


def _zip_source(url: str, limit: int | None) -> Source:
    parent, _, name = url.rpartition("/")
    folder = Folder(parent, flag="--data")
    status = folder.status(name)
    require(status is not None, f"--data {url} does not exist; check the URL")
    assert status is not None

    def open_archive() -> PictureList:
        # read where it is: a zip's table says where each member lies
        return pictures_in(zip_members(buffered(folder.open(name)), url), url, limit)

    return Source(identity="zip at a url", files={}, open=open_archive, content=_digest([status]))


def _digest(files: Iterable[FileStatus]) -> str:
    whole = hashlib.blake2b(digest_size=20)
    for file in sorted(files):
        whole.update(f"{file.name}\0{file.size}\0{file.modified_ns}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()
