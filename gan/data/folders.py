"""The pictures of a folder, and the classes that its subfolders make."""

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, require
from common.image_files import (
    SUFFIXES,
    UnreadableError,
    is_passed_over,
    is_picture,
    kind_of,
    other_files,
)
from common.text import one_line
from gan.data.decode import Framing, Squares, read_squares
from gan.data.picture_list import PictureList, Source, even_indices

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
IDX_FOLDERS = (("MNIST", "raw"), ("FashionMNIST", "raw"))
CIFAR_FOLDER = "cifar-10-batches-py"


def folder_source(root: Path, limit: int | None) -> Source:
    """Pictures anywhere under `root`, at most `limit`, evenly spread over their sorted names.

    Raises: ConfigError when it has no pictures or a folder cannot be read.
    """
    listed = _files_under(root)
    others = other_kinds(listed)
    require(
        any(map(is_picture, listed)),
        f"--data {root} holds no pictures ({' '.join(sorted(SUFFIXES))}){'; ' * bool(others)}"
        f"{other_files(others)}; {data_set_in(root, listed) or 'give a folder with pictures'}"
        "; hidden files are not read",
    )
    pictures = pictures_of(listed, root.joinpath, limit)
    files = {name: root / name for name in pictures.names}
    return Source(identity="pictures", files=files, open=lambda: pictures, others=lambda: others)


def pictures_of(
    names: Iterable[str],
    get: Callable[[str], Path | bytes],
    limit: int | None,
    threads: ThreadPoolExecutor | None = None,
) -> PictureList:
    """The pictures among `names`, at most `limit`, evenly spread, with the classes that their folders make.

    get: a picture's file or bytes; an exception is the reason why it is skipped. threads: in which pictures
    are got, where that means waiting.
    """
    found = sorted(filter(is_picture, names))
    labels, class_names = classes_of(found)
    keep = even_indices(len(found), limit)
    kept = [found[i] for i in keep]

    def read(start: int, stop: int, framing: Framing) -> list[Squares | str]:
        def read_one(place: int) -> Squares | str:
            return _read_or_reason(get, kept[place], framing, place)

        return list((threads.map if threads else map)(read_one, range(len(kept))[start:stop]))

    return PictureList(kept, read, None if labels is None else labels[keep], class_names)


def other_kinds(names: Iterable[str]) -> Counter[str]:
    """How many of the files are no pictures, by their endings."""
    return Counter(kind_of(name) for name in names if not is_picture(name))


def is_shown(name: str) -> bool:
    """Whether neither the file nor a folder that it is in is hidden or made by a system."""
    return not any(map(is_passed_over, PurePosixPath(name).parts))


def _read_or_reason(
    get: Callable[[str], Path | bytes], name: str, framing: Framing, place: int
) -> Squares | str:
    try:
        return read_squares(get(name), framing, place)
    except UnreadableError as error:
        return str(error)
    except Exception as error:  # a damaged or encrypted zip member, a file that may not be read
        return one_line(error)


def data_set_in(root: Path, names: Sequence[str]) -> str:
    """`give --data mnist --data-root X` for a folder with the files of a known data set, else ''."""
    for name in names:
        place = PurePosixPath(name)
        folder = root / place.parent
        if place.name.removesuffix(".gz") in IDX_FILES:
            kind = "fashion-mnist" if "fashion" in str(folder).lower() else "mnist"
            top = folder.parent.parent if folder.parts[-2:] in IDX_FOLDERS else folder
            return f"for its idx files give --data {kind} --data-root {shlex.quote(str(top))}"
        if place.name == "data_batch_1":
            top = folder.parent if folder.name == CIFAR_FOLDER else folder
            return f"for CIFAR-10 give --data cifar10 --data-root {shlex.quote(str(top))}"
    return ""


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
