"""Names of the output pictures, the same in every run.

The rule: `photos 2020/cat.jpg` in the style `old/starry.jpg` becomes `photos-2020/cat__old-starry.png`.
Where the names of two pairs clash, both keep the endings of their pictures (`cat.jpg__starry.jpg.png`), and
where these clash too, both get a digest of their pictures' names. Names that differ only in case or in how an
accent is encoded clash as well: some file systems take them for the same name.

Pairs that were named in an earlier run keep their names, which the manifest records, and no other pair gets
these names. So a picture that is added later renames and overwrites nothing. Without the manifest the rule is
applied anew.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Generic, TypeVar

from pathvalidate import ErrorReason, ValidationError, validate_filename

from styletransfer.planning.pairs import Pair

SHEET_NAME, THUMBS_FOLDER = "index.html", "thumbs"

# file systems allow 255 for one part; a name grows by .tmp and the like while it is written
_MAX_PART_BYTES = 160
_MAX_BYTES = 200
_CUT_BYTES = 50
_LONGEST_RESERVED = 7  # CONOUT$; longer names are not looked up, which takes 10 microseconds each

Owner = TypeVar("Owner")


class TakenNames(Generic[Owner]):
    """Relative paths that are in use, each by an owner.

    Two paths clash where some file system takes them for one, or where one is a folder of the other.
    """

    def __init__(self) -> None:
        self._files: dict[str, Owner] = {}
        self._folders: dict[str, Owner] = {}

    def take(self, name: str, owner: Owner) -> Owner | None:
        """Give a path to an owner unless it clashes with another owner's; returns that one, else None."""
        key = name_key(name)
        clashing = (self._files.get(key), self._folders.get(key), *map(self._files.get, _folders_of(key)))
        for other in clashing:
            if other is not None and other != owner:
                return other
        self.assign(name, owner)
        return None

    def assign(self, name: str, owner: Owner) -> None:
        """Give a path to an owner, whatever it clashes with."""
        key = name_key(name)
        self._files[key] = owner
        for folder in _folders_of(key):
            self._folders.setdefault(folder, owner)


def assign_names(
    pairs: Iterable[Pair],
    suffix: str,
    *,
    earlier: Mapping[Pair, str] | None = None,
    asked: Mapping[Pair, str] | None = None,
) -> dict[Pair, str]:
    """Relative path of each pair's picture; it does not depend on the order of pairs.

    `suffix` is the ending of all names, such as `.png`. `earlier` holds the names of earlier runs, also of
    pairs that are not asked for now. `asked` holds names that a user chose; they take precedence.
    """
    earlier, asked = earlier or {}, asked or {}
    taken = TakenNames[Pair]()
    for pair, name in (*earlier.items(), *asked.items()):
        taken.assign(name, pair)
    pending = dict.fromkeys(pairs)
    names = {pair: asked[pair] for pair in pending if pair in asked}
    for pair in pending:
        if pair in earlier and pair not in names:
            # in an earlier run it may have had another format: the rest of its name stays
            name = str(PurePosixPath(earlier[pair]).with_suffix(suffix))
            if taken.take(name, pair) is None:
                names[pair] = name
    for rule in (_plain, _with_endings, _with_digest):
        wished = {pair: rule(pair, suffix) for pair in pending if pair not in names}
        wishes = Counter(name_key(name) for name in wished.values())
        for pair, name in wished.items():
            if not _is_short(name) or wishes[name_key(name)] > 1:
                continue
            if taken.take(name, pair) is None:
                names[pair] = name
    return {pair: names[pair] for pair in pending}


def name_key(name: str) -> str:
    """Equal for names that some file system takes for the same: it ignores case or normalizes Unicode."""
    folded = unicodedata.normalize("NFKD", name).casefold().upper().casefold()
    return unicodedata.normalize("NFKD", folded)


def heading_thumb(kind: str, name: str) -> str:
    """Relative path of the thumbnail of a content or a style; no two names share one."""
    return f"{THUMBS_FOLDER}/{kind}/{_cut(_slug(PurePosixPath(name).stem))}~{_digest(name)}.jpg"


def output_thumb(output: str) -> str:
    """Relative path of the thumbnail of an output picture."""
    return f"{THUMBS_FOLDER}/output/{output}.jpg"


def _plain(pair: Pair, suffix: str) -> str:
    content, style = (PurePosixPath(name).with_suffix("") for name in pair[:2])
    return _joined(content, style, pair.variant, suffix)


def _with_endings(pair: Pair, suffix: str) -> str:
    return _joined(PurePosixPath(pair.content), PurePosixPath(pair.style), pair.variant, suffix)


def _with_digest(pair: Pair, suffix: str) -> str:
    # without the folders, so that the name is short however deep they are
    parts = [_cut(_slug(PurePosixPath(name).stem)) for name in pair[:2]]
    if pair.variant:
        parts.append(_cut(_slug(pair.variant)))
    return _unreserved("__".join(parts) + f"~{_digest(*pair)}{suffix}")


def _joined(content: PurePosixPath, style: PurePosixPath, variant: str, suffix: str) -> str:
    folders = [_unreserved(_slug(part)) for part in content.parts[:-1]]
    if folders and name_key(folders[0]) == THUMBS_FOLDER:
        folders[0] = f"_{folders[0]}"
    # two underscores are between the parts and nowhere else
    parts = [_slug(content.name), "-".join(_slug(part) for part in style.parts)]
    if variant:
        parts.append(_slug(variant))
    return "/".join([*folders, _unreserved("__".join(parts) + suffix)])


def _slug(text: str) -> str:
    """Letters of any script, digits and `. _ - =`; runs of anything else become a hyphen."""
    kept = "".join(c if _is_safe(c) else "-" for c in unicodedata.normalize("NFC", text))
    return re.sub(r"-{2,}", "-", re.sub(r"_{2,}", "_", kept)).strip(".-_") or "x"


def _is_safe(character: str) -> bool:
    # M: marks that belong to a letter, which many scripts need
    return character in "._-=" or unicodedata.category(character)[0] in "LMN"


def _unreserved(part: str) -> str:
    """The part of a path, with an underscore in front if it is a device on Windows, such as `con`."""
    # COM with a superscript digit is one too
    stem = unicodedata.normalize("NFKD", part.partition(".")[0])
    if len(stem) > _LONGEST_RESERVED:
        return part
    try:
        validate_filename(stem, platform="windows")
    except ValidationError as error:
        return f"_{part}" if error.reason is ErrorReason.RESERVED_NAME else part
    return part


def _folders_of(key: str) -> list[str]:
    return ["/".join(key.split("/")[:depth]) for depth in range(1, key.count("/") + 1)]


def _is_short(name: str) -> bool:
    parts = name.split("/")
    return len(name.encode()) <= _MAX_BYTES and all(len(part.encode()) <= _MAX_PART_BYTES for part in parts)


def _cut(text: str) -> str:
    return text.encode()[:_CUT_BYTES].decode(errors="ignore").rstrip(".-_") or "x"


def _digest(*names: str) -> str:
    joined = "\0".join(names).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=8).hexdigest()
