"""What a batch must not overwrite: files that were not made here, and pictures made of other files."""

import contextlib
import json
from collections.abc import Collection, Mapping

from common.errors import ConfigError
from common.storage.folder import Folder
from common.text import counted, printable
from styletransfer.pictures.writing import read_settings
from styletransfer.planning.manifest import MANIFEST_NAME, Entry
from styletransfer.planning.output_names import SHEET_NAME, THUMBS_FOLDER
from styletransfer.planning.pairs import Pair

# in every sheet; those of earlier versions do not name their program, but all have the same style
_MARKS_OF_SHEETS = (b'content="styletransfer"', b"--side: 168px")
_ELSEWHERE = "move it away or name another folder"


def refuse_foreign_files(
    out: Folder,
    outputs: Mapping[Pair, str],
    entries: Mapping[Pair, Entry],
    present: Collection[str],
) -> None:
    """Raise `ConfigError` for a file in the output folder that a batch would overwrite and did not make.

    present: names of the files in the folder. A picture made here may be missing in the manifest: the batch
    was killed between writing the two.
    """
    is_manifest_here = MANIFEST_NAME in present
    if SHEET_NAME in present:
        page = out.read(SHEET_NAME) or b""
        if page and not any(mark in page for mark in _MARKS_OF_SHEETS):
            raise ConfigError(f"{out.path(SHEET_NAME)} is no contact sheet that was made here; {_ELSEWHERE}")
    elif not is_manifest_here:
        thumbs = sorted(name for name in present if name.startswith(f"{THUMBS_FOLDER}/"))
        if thumbs:
            raise ConfigError(
                f"{out.path(THUMBS_FOLDER)} holds files that were not made here, such as "
                f"{printable(thumbs[0])}; {_ELSEWHERE}"
            )
    if is_manifest_here and not entries and not _may_be_a_manifest(out.read(MANIFEST_NAME) or b""):
        raise ConfigError(f"{out.path(MANIFEST_NAME)} is no manifest that was made here; {_ELSEWHERE}")
    known = {entry.output for entry in entries.values()}
    for pair, output in sorted(outputs.items(), key=lambda each: each[1]):
        if output in present and output not in known:
            _refuse_foreign_picture(out, pair, output)


def refuse_other_sources(
    out: Folder,
    entries: Mapping[Pair, Entry],
    present: Collection[str],
    *,
    pairs: Collection[Pair],
    digests: Mapping[str, Mapping[str, str]],
    sources: Mapping[str, str],
) -> None:
    """Raise `ConfigError` when finished pictures would be replaced by those of other files of the same names.

    A file that was edited keeps its folder; one with another content in another folder is another file.
    digests: content and style -> name -> digest of the file. sources: content and style -> key of its folder,
    which entries of earlier versions do not have.
    """
    others: list[tuple[str, str, str]] = []
    for pair in pairs:
        entry = entries.get(pair)
        if entry is None or entry.state != "done" or entry.output not in present:
            continue
        for kind in ("content", "style"):
            name, before = getattr(pair, kind), getattr(entry, f"{kind}_source")
            is_changed = getattr(entry, f"{kind}_digest") != digests[kind][name]
            if is_changed and before and before != sources[kind]:
                others.append((entry.output, kind, name))
                break
    if others:
        output, kind, name = others[0]
        raise ConfigError(
            f"{out.location} holds {counted(len(others), 'finished picture')} of other files with the same "
            f"names, such as {printable(output)}, whose {kind} {printable(name)} was in another folder; name "
            "another folder for the results, or give --redo to replace them"
        )


def _refuse_foreign_picture(out: Folder, pair: Pair, output: str) -> None:
    try:
        settings = read_settings(out.read(output) or b"")
    except ConfigError:
        raise ConfigError(
            f"{out.path(printable(output))} is in the way of a picture and was not made here; {_ELSEWHERE}"
        ) from None
    made_of = [settings.get(kind) for kind in ("content", "style")]
    if None not in made_of and made_of != [pair.content, pair.style]:
        content, style = (printable(str(name)) for name in made_of)
        raise ConfigError(
            f"{out.path(printable(output))} is in the way of a picture and was made of {content} and "
            f"{style}; {_ELSEWHERE}"
        )


def _may_be_a_manifest(content: bytes) -> bool:
    """Whether a manifest without a line of a pair is one: empty, torn by a crash, or of a later version."""
    first = content.lstrip().partition(b"\n")[0]
    if not first or first.startswith(b'{"content"'):
        return True
    with contextlib.suppress(ValueError):
        return isinstance(json.loads(first), dict)
    return b'{"content"'.startswith(first)
