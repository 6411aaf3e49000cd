"""The pictures that a batch reads: contents, styles, masks and a start, with their files and digests."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from common.errors import ConfigError, require
from common.image_files import MAX_BYTES
from common.storage.content_hash import digest_bytes
from common.storage.folder import Folder
from common.text import os_reason, printable
from styletransfer.pictures.listing import Listing, list_pictures
from styletransfer.pictures.reading import PictureError, read_picture, require_visible
from styletransfer.pictures.writing import SUFFIXES
from styletransfer.planning.pairs import Kind, Pair, product
from styletransfer.planning.pairs_csv import read_pairs

_GLANCE_PX = 64  # to see whether a picture can be read


PictureData = bytes | list[tuple[str, bytes]]
"""A picture's file, or the names and files of the pictures that a style blends."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """The pictures of a batch by name, and which go together."""

    contents: Listing
    styles: Listing
    pairs: tuple[Pair, ...]
    """The pairs to stylize, without the variants of a sweep."""
    asked: Mapping[Pair, str]
    """Output names that a table of pairs gives."""
    masks: Listing | None = None
    mask_of: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Content -> mask, by name; a content that is missing here has no mask."""
    start: Listing | None = None
    """The one picture to start from, where it is a file."""
    blends: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Style -> its pictures, where each folder is one style; else empty: each picture is one."""

    def listing(self, kind: Kind) -> Listing:
        """The pictures of that kind."""
        listings = {"content": self.contents, "style": self.styles, "mask": self.masks, "start": self.start}
        found = listings[kind]
        assert found is not None
        return found

    def pictures_of(self, style: str) -> tuple[str, ...]:
        """The names of the pictures that a style is made of."""
        return self.blends.get(style, (style,))

    def read(self, kind: Kind, name: str) -> PictureData:
        """A picture's file, or those of a style.

        Raises: PictureError when one is gone, too large or unreadable.
        """
        if kind == "style" and name in self.blends:
            return [(each, self._file(kind, each)) for each in self.blends[name]]
        return self._file(kind, name)

    def _file(self, kind: Kind, name: str) -> bytes:
        source = self.listing(kind).source(name)
        if isinstance(source, bytes):
            return source
        try:
            if not source.is_file():  # reading a named pipe would never end
                raise PictureError(name, "no such file")
            size = source.stat().st_size
            if size > MAX_BYTES:
                raise PictureError(name, f"{size:,} bytes, over the limit of {MAX_BYTES:,}")
            return source.read_bytes()
        except OSError as error:
            raise PictureError(name, os_reason(error)) from None

    def source_key(self, kind: Kind, out: Folder) -> str:
        """Equal for equal folders; relative to that of the results, so that both can be moved together."""
        location = self.listing(kind).location
        if out.is_local and Folder(location).is_local:
            location = os.path.relpath(location, out.location)
        return hashlib.blake2b(os.fsencode(location), digest_size=8).hexdigest()

    def content_digests(self) -> dict[str, str]:
        """Content -> digest of its file, and of its mask if it has one."""
        digests = _digests(self.contents, {pair.content for pair in self.pairs})
        if self.masks is not None:
            of_mask = _digests(self.masks, set(self.mask_of.values()))
            for name, mask in self.mask_of.items():
                if name in digests:
                    digests[name] = digest_bytes(f"{digests[name]} {of_mask[mask]}".encode())
        return digests

    def style_digests(self) -> dict[str, str]:
        """Style -> digest of its file, or of its pictures in their order."""
        styles = {pair.style for pair in self.pairs}
        found = _digests(self.styles, {name for style in styles for name in self.pictures_of(style)})
        return {
            style: digest_bytes(" ".join(found[name] for name in self.blends[style]).encode())
            if style in self.blends
            else found[style]
            for style in styles
        }

    def start_digest(self) -> str:
        """Digest of the file to start from; '' without one."""
        return "" if self.start is None else _digests(self.start, self.start.names)[self.start.names[0]]


def find_inputs(
    places: Sequence[str],
    *,
    pairs: str | None,
    mask: str | None,
    start: str | None,
    blend_folders: bool = False,
) -> Inputs:
    """List the pictures and their pairs, except the pictures in the output folder.

    places: locations of contents, styles and results; with a table of pairs, that of the results is enough.
    blend_folders: each folder of styles is one style.

    Raises: ConfigError for a location that does not exist or holds no pictures, and for a table whose lines
    do not fit the pictures.
    """
    out, asked = places[-1], dict[Pair, str]()
    require(
        pairs is None or Path(pairs).is_file(),
        f"--pairs {pairs} is not a file; give a CSV file with the columns content,style",
    )
    if len(places) == 1:
        assert pairs is not None
        found_contents = found_styles = list_pictures(
            str(Path(pairs).expanduser().absolute().parent), flag="the folder of --pairs", leave_out=[out]
        )
    else:
        found_contents = list_pictures(places[0], flag="CONTENTS", leave_out=[out])
        found_styles = list_pictures(places[1], flag="STYLES", leave_out=[out])
        for place, listing, flag in (
            (places[0], found_contents, "CONTENTS"),
            (places[1], found_styles, "STYLES"),
        ):
            if _is_single(listing, place, flag):
                _require_readable(listing, flag)
    blends = _by_folder(found_styles) if blend_folders else {}
    styles = tuple(blends) if blend_folders else found_styles.names
    if pairs is None:
        wanted = product(found_contents.names, styles)
    else:
        wanted, asked = read_pairs(Path(pairs), found_contents.names, styles, SUFFIXES)
    masks, mask_of = (None, {}) if mask is None else _masks(mask, found_contents.names, out)
    return Inputs(
        contents=found_contents,
        styles=found_styles,
        pairs=tuple(wanted),
        asked=asked,
        masks=masks,
        mask_of=mask_of,
        start=None if start is None else _single(start, "--start"),
        blends=blends,
    )


def _by_folder(listing: Listing) -> dict[str, tuple[str, ...]]:
    """Folder -> its pictures, sorted; those of the top folder by its own name."""
    folders: dict[str, list[str]] = {}
    for name in listing.names:
        folders.setdefault(str(PurePosixPath(name).parent), []).append(name)
    if "." in folders:
        own = PurePosixPath(listing.location).name or "styles"
        folders[f"{own}_" if own in folders else own] = folders.pop(".")
    return {folder: tuple(folders[folder]) for folder in sorted(folders)}


def _require_readable(listing: Listing, flag: str) -> None:
    """Decode a picture that every pair needs, so that a bad one is refused before the batch."""
    name = listing.names[0]
    try:
        picture = read_picture(listing.source(name), name=name, long_side_px=_GLANCE_PX)
        if flag == "STYLES":
            require_visible(picture, name)
    except PictureError as error:
        raise ConfigError(f"{flag} {error}") from None


def _single(location: str, flag: str) -> Listing:
    listing = list_pictures(location, flag=flag)
    require(
        _is_single(listing, location, flag),
        f"{flag} {printable(location)} is a folder; name one picture in it",
    )
    _require_readable(listing, flag)
    return listing


def _is_single(listing: Listing, location: str, flag: str) -> bool:
    # the listing of a single file has the location of its folder
    return listing.location != Folder(location, flag=flag).location


def _masks(location: str, contents: Iterable[str], out: str) -> tuple[Listing, dict[str, str]]:
    """The masks, and content -> mask: one for all, or the one with its name, whatever the ending."""
    listing = list_pictures(location, flag="--mask", leave_out=[out])
    if _is_single(listing, location, "--mask"):
        _require_readable(listing, "--mask")
        return listing, dict.fromkeys(contents, listing.names[0])
    named = set(listing.names)
    by_stem: dict[str, list[str]] = {}
    for name in listing.names:
        by_stem.setdefault(str(PurePosixPath(name).with_suffix("")), []).append(name)
    mask_of: dict[str, str] = {}
    for content in contents:
        fitting = [content] if content in named else by_stem.get(str(PurePosixPath(content).with_suffix("")))
        if fitting and len(fitting) > 1:
            raise ConfigError(
                f"--mask {printable(location)} has {len(fitting)} masks for {printable(content)}, such as "
                f"{printable(fitting[0])} and {printable(fitting[1])}; move one of them away"
            )
        if fitting:
            mask_of[content] = fitting[0]
    require(
        bool(mask_of),
        f"--mask {printable(location)}: none of its {len(listing.names)} pictures is named as a content; "
        "rename them, or name one picture for all",
    )
    return listing, mask_of


def _digests(listing: Listing, names: Iterable[str]) -> dict[str, str]:
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "artsweep" / "digests"
    index = hashlib.blake2b(os.fsencode(listing.location), digest_size=12).hexdigest()
    try:
        return listing.digests(sorted(names), folder / f"{index}.json")
    except OSError as error:
        raise ConfigError(
            f"the cache {folder} cannot be written: {os_reason(error)}; free some space, or name "
            "another folder by the variable XDG_CACHE_HOME"
        ) from None
