"""Keeps the pictures that long pairs have reached, so that a batch that was stopped goes on within a pair.

Each is one file in `.partial/` of the output folder, replaced from time to time, and removed when its pair
ends. A worker writes it where it sees the folder. It holds the pixels and how far they are, not the
optimizer's memory: the pair goes on from there, but its picture is not that of an undisturbed run.
"""

import contextlib
import hashlib
from collections.abc import Iterable

import safetensors
import safetensors.torch
import torch

from common.errors import ConfigError
from common.storage.folder import Folder
from styletransfer.planning.manifest import Entry
from styletransfer.transfer.midway import Midway

PARTIAL_FOLDER = ".partial"
# a pair that takes no longer is not worth it
SECONDS_BETWEEN_SAVES = 30.0
SHARE_OF_TIME = 0.05


def partial_name(entry: Entry) -> str:
    """Name of the file of a pair; another one when the pictures or the settings change."""
    parts = (*entry.pair, entry.content_digest, entry.style_digest, entry.settings_hash, entry.weights_hash)
    key = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return f"{PARTIAL_FOLDER}/{key}.safetensors"


def save_partial(folder: Folder, entry: Entry, midway: Midway) -> None:
    """Write how far a pair is; nothing happens where that fails, such as on a full disk."""
    numbers = torch.tensor([midway.scale, midway.evaluations, midway.seconds], dtype=torch.float64)
    # half precision: a thousandth is less than what differs anyway
    state = {"pictures": midway.pictures.clamp(0, 1).half().cpu().contiguous(), "numbers": numbers}
    with contextlib.suppress(ConfigError):
        folder.write(partial_name(entry), safetensors.torch.save(state))


def load_partial(folder: Folder, entry: Entry) -> Midway | None:
    """How far a pair was when it was interrupted; None where that is not known or damaged."""
    try:
        data = folder.read(partial_name(entry))
        if not data:
            return None
        state = safetensors.torch.load(data)
        scale, evaluations, seconds = state["numbers"].tolist()
        pictures = state["pictures"].float()
    except (ConfigError, safetensors.SafetensorError, KeyError, ValueError):
        return None
    if pictures.ndim != 4 or not bool(torch.isfinite(pictures).all()):
        return None
    return Midway(pictures=pictures, scale=int(scale), evaluations=int(evaluations), seconds=seconds)


def remove_partial(folder: Folder, entry: Entry) -> None:
    """Remove the file of a pair that has ended; nothing happens when there is none."""
    folder.remove_file(partial_name(entry))


def tidy_partials(folder: Folder, expected: Iterable[Entry]) -> None:
    """Remove the files of pairs that are not expected any more, such as with other settings."""
    try:
        found = {file.name for file in folder.list_files(PARTIAL_FOLDER)}
    except ConfigError:
        return
    kept = found & {partial_name(entry) for entry in expected} if found else set()
    for name in found - kept:
        folder.remove_file(name)
    if not kept:
        folder.remove_folder(PARTIAL_FOLDER)
