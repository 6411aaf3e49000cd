"""The pictures of a folder or a zip, and the classes that its subfolders make."""

import os
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, require
from common.image_files import (
    MAX_BYTES,
    SUFFIXES,
    UnreadableError,
    is_passed_over,
    is_picture,
    kind_of,
    other_files,
)
from common.text import one_line
from gan.data.decode import read_picture
from gan.data.picture_list import PictureList, Source, Square, even_indices


def folder_source(root: Path, limit: int | None) -> Source:
    """Pictures anywhere under `root`, at most `limit`, evenly spread over their sorted names.

    Raises: ConfigError when it has no pictures or a folder cannot be read.
    """
    listed = _files_under(root)
    found = sorted(filter(is_picture, listed))
    others = Counter(kind_of(name) for name in listed if not is_picture(name))
    require(
        bool(found),
        f"--data {root} holds no pictures ({' '.join(sorted(SUFFIXES))}){'; ' * bool(others)}"
        f"{other_files(others)}; give a folder with pictures; hidden files are not read",
    )
    labels, class_names = classes_of(found)
    keep = even_indices(len(found), limit)
    names = [found[i] for i in keep]
    files = {name: root / name for name in names}

    def read(start: int, stop: int, resolution: int) -> list[Square | str]:
        return [_read_or_reason(files.__getitem__, name, resolution) for name in names[start:stop]]

    pictures = PictureList(names, read, None if labels is None else labels[keep], class_names)
    return Source(identity="pictures", files=files, open=lambda: pictures, others=lambda: others)


def zip_source(path: Path, limit: int | None) -> Source:
    """Pictures anywhere in a zip, at most `limit`, evenly spread over their sorted names.

    Raises: ConfigError, when it is opened, for a damaged zip and for one without pictures.
    """

    def open_archive() -> PictureList:
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise ConfigError(f"--data {path} is a damaged zip ({error}); make it again") from None
        # members are only read into memory: a name such as ../../x never reaches the disk
        members = {
            m.filename: m
            for m in archive.infolist()
            if not m.is_dir() and _is_shown(m.filename) and is_picture(m.filename)
        }
        found = sorted(members)
        require(bool(found), f"--data {path} holds no pictures ({' '.join(sorted(SUFFIXES))}); add some")
        labels, class_names = classes_of(found)
        keep = even_indices(len(found), limit)
        names = [found[i] for i in keep]

        def member(name: str) -> bytes:
            if members[name].file_size > MAX_BYTES:
                raise UnreadableError(f"over {MAX_BYTES:,} bytes")
            return archive.read(members[name])

        def read(start: int, stop: int, resolution: int) -> list[Square | str]:
            return [_read_or_reason(member, name, resolution) for name in names[start:stop]]

        return PictureList(names, read, None if labels is None else labels[keep], class_names)

    def others() -> Counter[str]:
        with zipfile.ZipFile(path) as archive:
            names = [m.filename for m in archive.infolist() if not m.is_dir() and _is_shown(m.filename)]
        return Counter(kind_of(name) for name in names if not is_picture(name))

    return Source(identity="zip", files={"": path}, open=open_archive, others=others)


def _read_or_reason(get: Callable[[str], Path | bytes], name: str, resolution: int) -> Square | str:
    try:
        return read_picture(get(name), resolution)
    except UnreadableError as error:
        return str(error)
    except Exception as error:  # a damaged or encrypted zip member, a file that may not be read
        return one_line(error)


def _is_shown(name: str) -> bool:
    return not any(map(is_passed_over, PurePosixPath(name).parts))


def _files_under(root: Path) -> list[str]:
    """Names relative to `root`, with slashes; links are followed, but never to a folder above themselves."""
    names: list[str] = []
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while pending:
        prefix, above = pending.pop()
        try:
            status = (root / prefix).stat()
            # a link to a folder above itself would never end
            if (status.st_dev, status.st_ino) in above:
                continue
            with os.scandir(root / prefix) as entries:
                for entry in entries:
                    if is_passed_over(entry.name):
                        continue
                    if entry.is_dir():
                        inside = above | {(status.st_dev, status.st_ino)}
                        pending.append((f"{prefix}{entry.name}/", inside))
                    else:
                        names.append(prefix + entry.name)
        except OSError as error:
            raise ConfigError(
                f"--data {root / prefix} cannot be read ({error.strerror}); allow reading it or move it away"
            ) from None
    return names


def classes_of(names: Sequence[str]) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...]]:
    """Labels from the first folder of each name, when every picture is in one of several folders.

    A single folder around all others is skipped. Labels are int64, indices of the sorted class names.
    """
    paths = [name.split("/") for name in names]
    while all(len(path) > 1 for path in paths):
        class_names = sorted({path[0] for path in paths})
        if len(class_names) > 1:
            number = {name: label for label, name in enumerate(class_names)}
            return np.array([number[path[0]] for path in paths], dtype=np.int64), tuple(class_names)
        paths = [path[1:] for path in paths]
    return None, ()
