"""Puts a worker's files into the output folder, or returns them for the driver where the worker cannot."""

import contextlib
import dataclasses
import functools

import numpy as np

from common.storage.atomic import WriteError
from common.storage.folder import Folder
from styletransfer.config import StyleConfig
from styletransfer.execution.prepare import PairInputs
from styletransfer.pictures.thumbnails import thumbnail
from styletransfer.pictures.writing import encode_picture, format_of
from styletransfer.planning.manifest import Entry
from styletransfer.planning.output_names import output_thumb
from styletransfer.transfer.stylize import Stylized

Files = dict[str, bytes]
"""Name -> content of files that the driver has to write."""
Finished = tuple[Entry, Files]
"""How a pair ended."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputWriter:
    """Writes into the output folder where the worker sees it; made by the driver and sent to the workers."""

    out: str
    """Folder or URL of the results."""
    probe: str
    """Name of a file in `out`: a worker that finds it sees the same folder. '' for a URL, which all see."""
    quality: int
    """Of JPEG and WebP."""

    @functools.cached_property
    def folder(self) -> Folder | None:
        """The output folder; None where this worker does not see it."""
        folder = Folder(self.out)
        return folder if not self.probe or folder.status(self.probe) is not None else None

    def put(self, name: str, data: bytes) -> Files:
        """Write a file; returns it where that is left to the driver, else nothing."""
        if self.folder is not None:
            with contextlib.suppress(WriteError):  # the driver tries too, and reports why
                self.folder.write(name, data)
                return {}
        return {name: data}

    def finish(self, entry: Entry, inputs: PairInputs, stylized: Stylized, config: StyleConfig) -> Finished:
        """Write a pair's picture, with its settings inside, and its thumbnail; complete its entry.

        Raises: ConfigError when the format cannot hold the size, or the settings are too long.
        """
        rgb, alpha = np.rint(stylized.picture * 255).astype(np.uint8), inputs.content.alpha
        settings = {
            "config": config.to_dict(),
            "content": entry.content,
            "style": entry.style,
            "weights_hash": entry.weights_hash,
        }
        encoded = encode_picture(rgb, alpha, settings, format=format_of(entry.output), quality=self.quality)
        notes = [*encoded.notes]
        notes += [f"{kind}: {note}" for kind in ("content", "style") for note in getattr(inputs, kind).notes]
        if not stylized.stayed_finite:
            notes.append("the loss was not finite on the way: the optimizer went back and continued")
        if not stylized.has_fallen:
            notes.append("the loss did not fall: the picture is nearly as it was at the start")
        files = self.put(entry.output, encoded.data)
        files |= self.put(output_thumb(entry.output), thumbnail(rgb, alpha))
        completed = dataclasses.replace(
            entry,
            notes=(*notes, *entry.notes),
            seconds=sum(stylized.seconds_by_scale),
            losses=stylized.losses,
            size_px=(rgb.shape[1], rgb.shape[0]),
        )
        return completed, files
