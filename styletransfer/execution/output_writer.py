"""How a worker's pictures get into the output's folder: written by itself, or handed back to the driver."""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from styletransfer.execution.messages import Drawn, Order, Setup
from styletransfer.execution.prepare import Content
from styletransfer.pictures.thumbnails import thumbnail
from styletransfer.pictures.writing import encode_picture, format_of
from styletransfer.planning.output_names import output_thumb
from styletransfer.transfer.stylize import Stylized


class Delivery:
    """Writes files where the worker sees the output's folder; else they go to the driver with the answer."""

    def __init__(self, setup: Setup) -> None:
        self._setup, self._folder = setup, Folder(setup.out)
        self.sees_folder = not setup.probe or self._folder.status(setup.probe) is not None

    def put(self, name: str, data: bytes) -> dict[str, bytes]:
        """Write a file; what is returned the driver has to write.

        Raises: WriteError when the disk is full or the like.
        """
        if not self.sees_folder:
            return {name: data}
        self._folder.write(name, data)
        return {}

    def put_thumb(self, name: str, data: bytes) -> dict[str, bytes]:
        """As `put`, but that a page without a thumbnail is no failure."""
        with contextlib.suppress(WriteError):
            return self.put(name, data)
        return {}

    def finish(self, order: Order, content: Content, stylized: Stylized, *, notes: tuple[str, ...]) -> Drawn:
        """Put a picture, with its settings inside, and its thumbnail where they belong."""
        pixels = np.rint(stylized.picture * 255).astype(np.uint8)
        try:
            encoded = encode_picture(
                pixels,
                content.alpha,
                self._record(order),
                format=format_of(order.output),
                quality=self._setup.quality,
            )
            files = self.put(order.output, encoded.data)
        except ConfigError as error:
            return Drawn(
                pair=order.pair,
                output=order.output,
                error=str(error),
                is_unwritable=isinstance(error, WriteError),
                notes=notes,
            )
        files |= self.put_thumb(output_thumb(order.output), thumbnail(pixels, content.alpha))
        return Drawn(
            pair=order.pair,
            output=order.output,
            notes=(*encoded.notes, *notes),
            seconds=sum(stylized.seconds_by_scale),
            losses=dataclasses.asdict(stylized.losses),
            size_px=(pixels.shape[1], pixels.shape[0]),
            files=files,
        )

    def _record(self, order: Order) -> Mapping[str, Any]:
        """What the picture's file says about how it was made."""
        return {
            "config": self._setup.variants[order.pair.variant].to_dict(),
            "content": order.pair.content,
            "style": order.pair.style,
            "weights_hash": self._setup.weights_hashes[order.pair.variant],
        }
