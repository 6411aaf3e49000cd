"""Lists the pictures of a folder, a single file or a URL, and computes their digests."""

import dataclasses
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from common.errors import ConfigError, require
from common.image_files import MAX_BYTES, SUFFIXES, is_passed_over, is_picture, kind_of, other_files
from common.storage.content_hash import digest_each, digest_remote
from common.storage.folder import Folder
from common.text import printable
from styletransfer.pictures.reading import PictureError

_OTHER_KIND = "a file of another kind"


@dataclasses.dataclass(frozen=True)
class Listing:
    """The names of the pictures below one folder."""

    location: str
    """Absolute path or URL of the folder."""
    names: tuple[str, ...]
    """Relative paths with slashes, sorted."""
    skipped: tuple[tuple[str, str], ...] = ()
    """(name, reason) of each picture or folder that was left out."""
    others: Mapping[str, int] = dataclasses.field(default_factory=dict, compare=False)
    """How many other files there are, by their endings."""

    def source(self, name: str) -> Path | bytes:
        """The picture as `read_picture` takes it: a path on a disk, bytes from an object store.

        Raises: PictureError when an object store no longer has the file, or it is too large.
        """
        folder = Folder(self.location)
        if folder.is_local:
            return Path(folder.path(name))
        status = folder.status(name)
        if status is not None and status.size > MAX_BYTES:
            raise PictureError(name, f"{status.size:,} bytes, over the limit of {MAX_BYTES:,}")
        data = folder.read(name)
        if data is None:
            raise PictureError(name, "no such file")
        return data

    def digests(self, names: Iterable[str], index_path: Path) -> dict[str, str]:
        """Name -> hex digest of the picture's bytes; of an unreadable one, the reason.

        The file at `index_path` caches digests by size and modification time.
        """
        folder = Folder(self.location)
        if folder.is_local:
            return digest_each({name: Path(folder.path(name)) for name in names}, index_path)
        return digest_remote(folder, names, index_path, max_bytes=MAX_BYTES)


def list_pictures(location: str, *, flag: str, leave_out: Iterable[str] = ()) -> Listing:
    """The pictures anywhere below a folder or URL, or the one picture that `location` is.

    Hidden files and folders, those of systems and NAS boxes, and files of other kinds are left out; the last
    are counted. So are the locations in `leave_out`, such as an output folder
    inside this one. Symbolic links that lead out of the folder, or to a folder inside it whose pictures are
    listed anyway, are skipped with a reason. `flag` names the location in messages.

    Raises: ConfigError when the location does not exist, cannot be read, or holds no pictures.
    """
    folder = Folder(location, flag=flag)
    others = [Folder(other) for other in leave_out]
    require(
        folder.location not in {other.location for other in others},
        f"{flag} {printable(location)} is also the output folder; write to another folder",
    )
    listed = _list_local(folder, flag, others) if folder.is_local else _list_url(folder, flag, others)
    reason = f", {listed.skipped[0][1]}: {printable(listed.skipped[0][0])}" if listed.skipped else ""
    reason += f"; {other_files(listed.others)}" if listed.others else ""
    require(
        bool(listed.names),
        f"{flag} {printable(location)} holds no pictures ({' '.join(sorted(SUFFIXES))}){reason}; "
        "give a folder that holds some, hidden files are not read",
    )
    return listed


def _list_local(folder: Folder, flag: str, leave_out: list[Folder]) -> Listing:
    root = Path(folder.location)
    try:
        mode = root.stat().st_mode
        if not stat.S_ISDIR(mode):
            require(
                stat.S_ISREG(mode),
                f"{flag} {root} is neither a file nor a folder; give a picture or a folder",
            )
            return Listing(str(root.parent), (root.name,))
        os.scandir(root).close()
    except OSError as error:
        raise ConfigError(
            f"{flag} {printable(str(root))} cannot be read ({error.strerror}); check path and access rights"
        ) from None
    passed_over = {Path(other.location).resolve() for other in leave_out if other.is_local}
    names: list[str] = []
    skipped: list[tuple[str, str]] = []
    others = Counter[str]()
    for name, reason in _walk(root, passed_over):
        if reason is None:
            names.append(name)
        elif reason is _OTHER_KIND:
            others[kind_of(name)] += 1
        else:
            skipped.append((name, reason))
    return Listing(str(root), tuple(sorted(names)), tuple(sorted(skipped)), others)


def _walk(root: Path, passed_over: set[Path]) -> Iterator[tuple[str, str | None]]:
    """(name, None) for each picture below root, (name, reason) for each file or folder that is not read."""
    real_root = root.resolve()
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            entries = list(os.scandir(root / prefix))
        except OSError as error:
            yield prefix.rstrip("/"), f"cannot be read: {error.strerror}"
            continue
        for entry in entries:
            name = prefix + entry.name
            if is_passed_over(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                if not passed_over or (root / name).resolve() not in passed_over:
                    pending.append(f"{name}/")
            elif entry.is_symlink():
                reason = _fault_of_link(root / name, real_root)
                if reason is not None or is_picture(name):
                    yield name, reason
            elif not is_picture(name):
                yield name, _OTHER_KIND
            else:
                yield name, None if entry.is_file() else "not a regular file"


def _fault_of_link(link: Path, real_root: Path) -> str | None:
    """Why a symbolic link is not followed, None when it leads to a file inside the folder."""
    try:
        target = link.resolve(strict=True)
    except FileNotFoundError:
        return "a broken link"
    except (OSError, RuntimeError):  # RuntimeError until Python 3.12
        return "a link that leads in a circle"
    if not target.is_relative_to(real_root):
        return "a link that leads out of the folder"
    if target.is_dir():
        return "a link to a folder inside this one, whose pictures are listed there"
    return None if target.is_file() else "not a regular file"


def _list_url(folder: Folder, flag: str, leave_out: list[Folder]) -> Listing:
    parent, _, last = folder.location.rpartition("/")
    if not parent.endswith("/"):  # s3://bucket has no parent
        above = Folder(parent, flag=flag)
        if above.status(last) is not None:
            return Listing(above.location, (last,))
    below = [other.location.removeprefix(f"{folder.location}/") + "/" for other in leave_out]
    names = [
        file.name
        for file in folder.list_files()
        if not file.name.startswith(tuple(below)) and not any(map(is_passed_over, file.name.split("/")))
    ]
    others = Counter(kind_of(name) for name in names if not is_picture(name))
    return Listing(folder.location, tuple(filter(is_picture, names)), others=others)
