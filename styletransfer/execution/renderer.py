"""What one worker of a batch does: prepares pictures, draws pairs, whatever they bring; no Ray here."""

import dataclasses
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from common.errors import ConfigError
from common.text import one_line, type_and_last_line
from styletransfer.config import StyleConfig
from styletransfer.execution import prepare
from styletransfer.execution.messages import Drawn, Order, Prepared, Setup
from styletransfer.execution.output_writer import Delivery
from styletransfer.planning.keys import NetworkKey, network_key
from styletransfer.planning.output_names import heading_thumb
from styletransfer.planning.pairs import Kind
from styletransfer.transfer.features import Network
from styletransfer.transfer.request import Job
from styletransfer.transfer.stylize import Stylized, stylize_together

# how PyTorch's CPU allocator, oneDNN and C++ say it, none of them as MemoryError
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "DefaultCPUAllocator",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "could not create a primitive",
    "could not create a memory",
    "could not execute a primitive",
)
_TILES_PX = (1024, 512, 256, 128)
_REPEAT_TILE_PX = 512

Part = Mapping[Kind, Any]
"""The prepared pictures of a pair."""


class Studio:
    """Prepares and draws; an error is an answer like others. Networks must be on `device`."""

    def __init__(
        self, setup: Setup, networks: Mapping[NetworkKey, Network], *, device: torch.device | str = "cpu"
    ) -> None:
        self._setup, self._networks, self._device = setup, networks, device
        self._delivery = Delivery(setup)

    @property
    def sees_folder(self) -> bool:
        """Whether it writes its pictures itself."""
        return self._delivery.sees_folder

    def prepare(self, kind: Kind, name: str, variant: str, data: bytes) -> tuple[Prepared, Any]:
        """Read a picture and look at it as pairs of the variant need it: what became of it, and it itself."""
        config = self._setup.variants[variant]
        side_px = round(config.size * max(1, config.style_scale))
        reason = ""
        for tile in (config.tile, *smaller_tiles(config.tile, side_px)):
            try:
                return self._prepare(kind, name, dataclasses.replace(config, tile=tile), data)
            except Exception as error:  # one bad picture must not end the worker
                reason = _reason(error)
                if not is_out_of_memory(error):
                    break
            self._free_memory()
        return Prepared(error=reason), None

    def _prepare(self, kind: Kind, name: str, config: StyleConfig, data: bytes) -> tuple[Prepared, Any]:
        network, device = self._networks[network_key(config)], self._device
        if kind == "mask":
            return Prepared(), prepare.prepare_mask(data, name, config)
        if kind == "start":
            return Prepared(), prepare.prepare_start(data, name, config)
        if kind == "style":
            style, thumb = prepare.prepare_style(data, name, config, network=network, device=device)
            return Prepared(files=self._delivery.put_thumb(heading_thumb(kind, name), thumb)), style
        content, thumb = prepare.prepare_content(data, name, config, network=network, device=device)
        height, width = content.rgb.shape[:2]
        files = self._delivery.put_thumb(heading_thumb(kind, name), thumb)
        return Prepared(size_px=(width, height), files=files), content

    def draw(self, orders: Sequence[Order], inputs: Sequence[Any]) -> list[Drawn]:
        """Draw pairs of one variant and size: together, and where that fails one by one.

        inputs: what the orders' `kinds` name, one order after another.
        """
        rest = iter(inputs)
        parts: list[Part] = [{kind: next(rest) for kind in order.kinds} for order in orders]
        notes: tuple[str, ...] = ()
        if len(orders) > 1:
            config = self._setup.variants[orders[0].pair.variant]
            try:
                drawn = self._stylize(parts, config)
            except Exception as error:  # of one of the pairs; alone it is seen whose
                if is_out_of_memory(error):
                    notes = (f"out of memory with {len(orders)} pairs together: drawn alone",)
            else:
                return [
                    self._finish(order, part, each, notes)
                    for order, part, each in zip(orders, parts, drawn, strict=True)
                ]
            self._free_memory()
        return [self._draw_alone(order, part, notes) for order, part in zip(orders, parts, strict=True)]

    def _draw_alone(self, order: Order, part: Part, notes: tuple[str, ...]) -> Drawn:
        """Draw one pair, in smaller and smaller tiles where memory is not enough: the result is the same."""
        config = self._setup.variants[order.pair.variant]
        tiles, why = [config.tile, *smaller_tiles(config.tile, config.size)], "out of memory"
        if order.is_repeat:
            # perhaps the system killed it for its memory, which it then does without a word
            small = [side for side in tiles if 0 < side <= _REPEAT_TILE_PX < config.size]
            tiles, why = small or tiles, "its worker died"
            notes = (*notes, "its worker died: drawn again")
        error_text = ""
        for tile in tiles:
            note = () if tile == config.tile else (f"{why}: drawn in tiles of {tile} pixels",)
            try:
                [stylized] = self._stylize([part], dataclasses.replace(config, tile=tile))
                return self._finish(order, part, stylized, (*notes, *note))
            except Exception as error:  # one bad pair must not end the batch
                error_text = _reason(error)
                if not is_out_of_memory(error):
                    break
                error_text = f"out of memory even in tiles ({error_text}); lower --size or --workers"
            self._free_memory()
            why = "out of memory"
        return Drawn(pair=order.pair, output=order.output, error=error_text, notes=notes)

    def _stylize(self, parts: Sequence[Part], config: StyleConfig) -> list[Stylized]:
        # pictures are copied: Ray's arrays are read-only, which PyTorch does not know
        jobs = []
        for part in parts:
            content: prepare.Content = part["content"]
            style: prepare.Style = part["style"]
            rgb = np.array(content.rgb)
            jobs.append(
                Job(
                    content=rgb,
                    # where its targets are known, a style is only counted
                    styles=[rgb if style.rgb is None else np.array(style.rgb)],
                    masks=[np.array(part["mask"])] if "mask" in part else None,
                    start=np.array(part["start"]) if "start" in part else None,
                    content_targets=content.targets,
                    style_targets=None if style.targets is None else [style.targets],
                )
            )
        network = self._networks[network_key(config)]
        return stylize_together(jobs, config, network=network, device=self._device)

    def _free_memory(self) -> None:
        """Give back what an attempt that failed has left."""
        gc.collect()
        if torch.device(self._device).type == "cuda":
            torch.cuda.empty_cache()

    def _finish(self, order: Order, part: Part, stylized: Stylized, notes: tuple[str, ...]) -> Drawn:
        noted = [f"{kind}: {note}" for kind in ("content", "style") for note in part[kind].notes]
        if not stylized.stayed_finite:
            noted.append("the loss left the finite on the way: the optimizer went back and on")
        if order.lost_machine:
            noted.append("its machine was lost: drawn again")
        return self._delivery.finish(order, part["content"], stylized, notes=(*noted, *notes))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, on the CPU or the GPU, was not enough."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def smaller_tiles(tile_px: int, long_side_px: int) -> list[int]:
    """Sides of tiles that need less memory than those of `tile_px` (0: the picture whole), falling."""
    return [side for side in _TILES_PX if side < (tile_px or long_side_px)]


def _reason(error: Exception) -> str:
    """One line; of an error that nobody foresaw, its kind too."""
    return one_line(error) if isinstance(error, ConfigError) else type_and_last_line(error)
