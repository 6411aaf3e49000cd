"""What the picture of each pair is called, the same at every start; which pairs there are lives in `pairs`.

The rule: `photos 2020/cat.jpg` in the style `old/starry.jpg` becomes `photos-2020/cat__old-starry.png`.
Where two pairs would meet in one name, both keep the endings of their pictures (`cat.jpg__starry.jpg.png`),
and where that does not part them, both bear a digest of their pictures' names. Names meet also when they
differ only in case or in how an accent is encoded: some disks do not tell them apart.

A name once given stays with its pair. Pairs that were named in an earlier run keep their names, as the
manifest tells them, and nobody else gets those, so that a picture added later renames and overwrites nothing.
Without the manifest the rule is applied afresh.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from styletransfer.planning.pairs import Pair

THUMBS_FOLDER = "thumbs"

# 255 is what disks allow for one part; a name grows by .tmp and the like while it is written
_MAX_PART_BYTES = 160
_MAX_BYTES = 200
_CUT_BYTES = 50
# devices on Windows, whatever follows the first dot
_DEVICES = frozenset({"CON", "PRN", "AUX", "NUL"} | {f"{d}{n}" for d in ("COM", "LPT") for n in "0123456789"})


def assign_names(
    pairs: Iterable[Pair],
    suffix: str,
    *,
    earlier: Mapping[Pair, str] | None = None,
    asked: Mapping[Pair, str] | None = None,
) -> dict[Pair, str]:
    """Relative path of each pair's picture; the order of pairs does not matter.

    `suffix` is the ending that all get, such as `.png`. `earlier` holds the names given before, also of pairs
    that are not asked for now. `asked` holds names that a user chose, which come first.
    """
    earlier, asked = earlier or {}, asked or {}
    owners = {name_key(name): pair for pair, name in earlier.items()}
    owners |= {name_key(name): pair for pair, name in asked.items()}
    waiting = dict.fromkeys(pairs)
    names = {pair: asked[pair] for pair in waiting if pair in asked}
    for pair in waiting:
        if pair in earlier and pair not in names:
            # made in another format before: the rest of its name stays
            name = str(PurePosixPath(earlier[pair]).with_suffix(suffix))
            if owners.setdefault(name_key(name), pair) == pair:
                names[pair] = name
    for rule in (_plain, _with_endings, _with_digest):
        wished = {pair: rule(pair, suffix) for pair in waiting if pair not in names}
        wishes = Counter(name_key(name) for name in wished.values())
        for pair, name in wished.items():
            key = name_key(name)
            if _is_short(name) and wishes[key] == 1 and owners.setdefault(key, pair) == pair:
                names[pair] = name
    return {pair: names[pair] for pair in waiting}


def name_key(name: str) -> str:
    """Equal for names that some file system takes for one: by case or by Unicode normalization."""
    folded = unicodedata.normalize("NFKD", name).casefold().upper().casefold()
    return unicodedata.normalize("NFKD", folded)


def heading_thumb(kind: str, name: str) -> str:
    """Relative path of the thumbnail of a content or a style; no two names share one."""
    return f"{THUMBS_FOLDER}/{kind}/{_cut(_slug(PurePosixPath(name).stem))}~{_digest(name)}.jpg"


def output_thumb(output: str) -> str:
    """Relative path of the thumbnail of a picture made."""
    return f"{THUMBS_FOLDER}/output/{output}.jpg"


def _plain(pair: Pair, suffix: str) -> str:
    content, style = (PurePosixPath(name).with_suffix("") for name in pair[:2])
    return _joined(content, style, pair.variant, suffix)


def _with_endings(pair: Pair, suffix: str) -> str:
    return _joined(PurePosixPath(pair.content), PurePosixPath(pair.style), pair.variant, suffix)


def _with_digest(pair: Pair, suffix: str) -> str:
    # no folders: however deep they are, the name is short
    parts = [_cut(_slug(PurePosixPath(name).stem)) for name in pair[:2]]
    if pair.variant:
        parts.append(_cut(_slug(pair.variant)))
    return _not_a_device("__".join(parts) + f"~{_digest(*pair)}{suffix}")


def _joined(content: PurePosixPath, style: PurePosixPath, variant: str, suffix: str) -> str:
    folders = [_not_a_device(_slug(part)) for part in content.parts[:-1]]
    if folders and name_key(folders[0]) == THUMBS_FOLDER:
        folders[0] = f"_{folders[0]}"
    # two underscores stand between the parts and nowhere else
    parts = [_slug(content.name), "-".join(_slug(part) for part in style.parts)]
    if variant:
        parts.append(_slug(variant))
    return "/".join([*folders, _not_a_device("__".join(parts) + suffix)])


def _slug(text: str) -> str:
    """Letters of any script, digits and `. _ - =`; runs of anything else become a hyphen."""
    kept = "".join(c if _is_safe(c) else "-" for c in unicodedata.normalize("NFC", text))
    return re.sub(r"-{2,}", "-", re.sub(r"_{2,}", "_", kept)).strip(".-_") or "x"


def _is_safe(character: str) -> bool:
    # M: marks that belong to a letter, which many scripts cannot do without
    return character in "._-=" or unicodedata.category(character)[0] in "LMN"


def _not_a_device(part: str) -> str:
    # COM with a superscript digit is one too
    stem = unicodedata.normalize("NFKD", part.partition(".")[0]).upper()
    return f"_{part}" if stem in _DEVICES else part


def _is_short(name: str) -> bool:
    parts = name.split("/")
    return len(name.encode()) <= _MAX_BYTES and all(len(part.encode()) <= _MAX_PART_BYTES for part in parts)


def _cut(text: str) -> str:
    return text.encode()[:_CUT_BYTES].decode(errors="ignore").rstrip(".-_") or "x"


def _digest(*names: str) -> str:
    joined = "\0".join(names).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=8).hexdigest()
