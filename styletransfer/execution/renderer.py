"""The work of a style worker, without Ray: prepares pictures, stylizes pairs, and survives errors in both."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch

from common.errors import ConfigError
from common.memory import is_out_of_memory, release
from common.text import one_line, type_and_last_line
from styletransfer.config import StyleConfig
from styletransfer.execution.output_writer import Files, Finished, OutputWriter
from styletransfer.execution.prepare import PairInputs, prepare
from styletransfer.planning.manifest import Entry
from styletransfer.planning.output_names import heading_thumb
from styletransfer.planning.pairs import Need
from styletransfer.planning.staleness import NetworkKey, network_key
from styletransfer.transfer.features import Network
from styletransfer.transfer.stylize import stylize_together

_TILES_PX = (1024, 512, 256, 128)
_REPEAT_TILE_PX = 512
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparationResult:
    """How the preparation of a picture ended; the prepared picture itself is returned beside it."""

    error: str | None = None
    """Why the picture cannot be used."""
    size_px: tuple[int, int] = (0, 0)
    """(width, height) of what is made from a content."""
    files: Files = dataclasses.field(default_factory=dict)


class Renderer:
    """Prepares and stylizes; an error is returned like any other result. Networks must be on `device`."""

    def __init__(
        self,
        variants: Mapping[str, StyleConfig],
        networks: Mapping[NetworkKey, Network],
        writer: OutputWriter,
        device: torch.device | str = "cpu",
    ) -> None:
        self._variants, self._networks, self._writer, self._device = variants, networks, writer, device

    def prepare(self, need: Need, variant: str, data: bytes) -> tuple[PreparationResult, Any]:
        """Read a picture and compute its targets as pairs of the variant need them; these come second."""
        config = self._variants[variant]
        network, device = self._networks[network_key(config)], self._device
        side_px = round(config.size * max(1, config.style_scale))
        try:
            picture, thumb = self._in_tiles(
                config,
                [config.tile, *smaller_tiles(config.tile, side_px)],
                lambda tiled: prepare(need.kind, data, need.name, tiled, network=network, device=device),
            )
            files = {} if thumb is None else self._writer.put(heading_thumb(need.kind, need.name), thumb)
            height, width = picture.rgb.shape[:2] if need.kind == "content" else (0, 0)
            return PreparationResult(size_px=(width, height), files=files), picture
        except Exception as error:  # one bad picture must not end the worker
            reason = _reason(error)
        release()
        return PreparationResult(error=reason), None

    def stylize(self, entries: Sequence[Entry], is_repeat: bool, *pictures: Any) -> list[Finished]:
        """Stylize pairs of one variant and size: together, and where that fails one by one.

        entries: the pairs' lines in the manifest as if done, which come back completed or failed. is_repeat:
        a worker died of the pair before; it is then stylized with as little memory as possible. pictures:
        the fields of `PairInputs`, pair after pair.
        """
        count = len(PairInputs._fields)
        inputs = [PairInputs(*pictures[each * count :][:count]) for each in range(len(entries))]
        if len(entries) > 1:
            try:
                return self._stylize_together(entries, inputs, self._variants[entries[0].variant])
            except Exception as error:  # of one of the pairs; alone it shows of which
                if is_out_of_memory(error):
                    note = f"out of memory with {len(entries)} pairs together: stylized alone"
                    entries = [_with_note(entry, note) for entry in entries]
            release()
        pairs = zip(entries, inputs, strict=True)
        return [self._stylize_alone(entry, each, is_repeat) for entry, each in pairs]

    def _stylize_alone(self, entry: Entry, inputs: PairInputs, is_repeat: bool) -> Finished:
        """Stylize one pair, in smaller and smaller tiles where memory is short: the result is the same."""
        config = self._variants[entry.variant]
        tiles = [config.tile, *smaller_tiles(config.tile, config.size)]
        if is_repeat:
            # perhaps the system killed the worker for its memory, which it does without a message
            tiles = [side for side in tiles if 0 < side <= _REPEAT_TILE_PX < config.size] or tiles

        def attempt(tiled: StyleConfig) -> Finished:
            why = "its worker died" if is_repeat and tiled.tile == tiles[0] else "out of memory"
            note = f"{why}: stylized in tiles of {tiled.tile} pixels"
            noted = entry if tiled == config else _with_note(entry, note)
            return self._stylize_together([noted], [inputs], tiled)[0]

        try:
            return self._in_tiles(config, tiles, attempt)
        except Exception as error:  # one bad pair must not end the batch
            reason = _reason(error)
            if is_out_of_memory(error):
                reason = f"out of memory even in tiles ({reason}); lower --size or --workers"
        release()
        return dataclasses.replace(entry, state="failed", error=reason), {}

    def _in_tiles(self, config: StyleConfig, tiles: Sequence[int], attempt: Callable[[StyleConfig], T]) -> T:
        """What `attempt` returns with the first of the tiles' sides for which memory suffices.

        Raises: what the last attempt raised.
        """
        for tile in tiles[:-1]:
            try:
                return attempt(dataclasses.replace(config, tile=tile))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            release()
        return attempt(dataclasses.replace(config, tile=tiles[-1]))

    def _stylize_together(
        self, entries: Sequence[Entry], inputs: Sequence[PairInputs], config: StyleConfig
    ) -> list[Finished]:
        """Stylize and write pairs; `config`: that of their variant, perhaps with smaller tiles."""
        network = self._networks[network_key(config)]
        requests = [each.request() for each in inputs]
        stylized = stylize_together(requests, config, network=network, device=self._device)
        settings = self._variants[entries[0].variant]
        pairs = zip(entries, inputs, stylized, strict=True)
        return [self._writer.finish(*each, settings) for each in pairs]

def smaller_tiles(tile_px: int, long_side_px: int) -> list[int]:
    """Sides of tiles that need less memory than those of `tile_px` (0: no tiles), falling."""
    return [side for side in _TILES_PX if side < (tile_px or long_side_px)]


def _with_note(entry: Entry, note: str) -> Entry:
    return dataclasses.replace(entry, notes=(*entry.notes, note))


def _reason(error: Exception) -> str:
    """One line; of an unexpected error, its type too."""
    return one_line(error) if isinstance(error, ConfigError) else type_and_last_line(error)
