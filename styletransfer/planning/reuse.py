"""Finds finished pictures that a batch would stylize again under another name or format, and copies them."""

import contextlib
import dataclasses
import time
from collections.abc import Container, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from common.errors import ConfigError
from common.image_files import LARGEST_MAX_PIXELS
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from styletransfer.pictures.reading import opened_picture
from styletransfer.pictures.writing import SUFFIXES, encode_picture, format_of, read_settings
from styletransfer.planning.manifest import Entry, Manifest
from styletransfer.planning.output_names import output_thumb
from styletransfer.planning.pairs import Pair
from styletransfer.planning.staleness import is_lossy


class PictureKey(NamedTuple):
    """Equal for pictures with the same pixels, whatever their names and formats."""

    content_digest: str
    style_digest: str
    settings_hash: str
    weights_hash: str


def find_reusable(
    wanted: Mapping[Pair, str],
    entries: Mapping[Pair, Entry],
    present: Container[str],
    keys: Mapping[Pair, tuple[PictureKey, PictureKey]],
) -> dict[Pair, Entry]:
    """The entry of a finished picture for each pair of `wanted` that has one under another name or format.

    wanted: pair -> name of its picture, which must not be in the folder yet, so that nothing is overwritten.
    keys: of each pair, with the settings of its own format, and with those of formats without loss. A lossy
    picture is used only for the same format.
    """
    done: dict[PictureKey, Entry] = {}
    for entry in entries.values():
        is_known = entry.content_digest and PurePosixPath(entry.output).suffix.lower() in SUFFIXES
        if entry.state == "done" and entry.output in present and is_known:
            done.setdefault(_key_of(entry), entry)
    found: dict[Pair, Entry] = {}
    for pair, output in wanted.items():
        known = next((done[key] for key in keys[pair] if key in done), None)
        if known is not None and output not in present and _can_become(known.output, output):
            found[pair] = known
    return found


def reuse(
    out: Folder,
    reusable: Mapping[Pair, Entry],
    new_entries: Mapping[Pair, Entry],
    *,
    quality: int,
) -> int:
    """Copy finished pictures to their other names and formats; returns how many were.

    new_entries: what the manifest will say of each pair. A picture that cannot be read or written is left
    out: it is stylized again.

    Raises: WriteError when the manifest cannot be written.
    """
    count = 0
    with Manifest(out) as manifest:
        for pair, entry in reusable.items():
            new = new_entries[pair]
            try:
                out.write(new.output, _converted(out.read(entry.output) or b"", entry, new, quality))
            except ConfigError:
                continue
            thumb = out.read(output_thumb(entry.output))
            if thumb is not None:
                with contextlib.suppress(WriteError):  # it may be missing
                    out.write(output_thumb(new.output), thumb)
            manifest.record(
                dataclasses.replace(
                    new,
                    notes=(*entry.notes, f"the same as {entry.output}: copied"),
                    seconds=entry.seconds,
                    losses=entry.losses,
                    size_px=entry.size_px,
                    seed=entry.seed,
                    time=time.time(),
                )
            )
            count += 1
    return count


def _key_of(entry: Entry) -> PictureKey:
    return PictureKey(entry.content_digest, entry.style_digest, entry.settings_hash, entry.weights_hash)


def _can_become(old: str, new: str) -> bool:
    return not is_lossy(format_of(old)) or format_of(old) == format_of(new)


def _converted(data: bytes, entry: Entry, new: Entry, quality: int) -> bytes:
    """The picture's file under its new name: the same pixels, with the new names in its settings.

    Raises: ConfigError when it is not a picture that was made here, or the format cannot hold it.
    """
    settings = read_settings(data, name=entry.output)
    if is_lossy(format_of(entry.output)):
        return data  # encoded again it would lose more
    with opened_picture(data, entry.output, LARGEST_MAX_PIXELS) as image:
        pixels = np.array(image)
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
    settings |= {"content": new.content, "style": new.style}
    rgb = np.ascontiguousarray(pixels[..., :3])
    return encode_picture(rgb, alpha, settings, format=format_of(new.output), quality=quality).data
