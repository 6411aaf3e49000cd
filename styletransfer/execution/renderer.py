"""The work of a style worker, without Ray: prepares pictures, stylizes pairs, and survives errors in both."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from common.errors import ConfigError
from common.memory import is_out_of_memory, release
from common.storage.folder import Folder
from common.text import one_line, type_and_last_line
from common.throttle import Throttle
from styletransfer.config import StyleConfig
from styletransfer.execution.output_writer import Files, Finished, OutputWriter
from styletransfer.execution.partial import (
    SECONDS_BETWEEN_SAVES,
    SHARE_OF_TIME,
    load_partial,
    remove_partial,
    save_partial,
)
from styletransfer.execution.prepare import PairInputs, prepare
from styletransfer.execution.too_large import TooLarge, Work
from styletransfer.planning.estimate import smaller_tiles
from styletransfer.planning.inputs import PictureData
from styletransfer.planning.manifest import Entry
from styletransfer.planning.output_names import heading_thumb
from styletransfer.planning.pairs import Need
from styletransfer.planning.staleness import NetworkKey, network_key
from styletransfer.transfer.features import Network
from styletransfer.transfer.midway import Keeper, Midway
from styletransfer.transfer.stylize import Progress, stylize_together

_REPEAT_TILE_PX = 512
T = TypeVar("T")


class Steps(NamedTuple):
    """Evaluations of a pair: where this attempt began, how many are done, and of how many."""

    begun: int
    done: int
    total: int


NO_STEPS = Steps(0, 0, 0)


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
        self._too_large = TooLarge()
        self.steps = NO_STEPS
        """How far the pair in work is."""

    def prepare(self, need: Need, variant: str, data: PictureData) -> tuple[PreparationResult, Any]:
        """Read a picture and compute its targets as pairs of the variant need them; these come second."""
        config = self._variants[variant]
        network, device = self._networks[network_key(config)], self._device
        side_px = round(config.size * max(1, config.style_scale))
        work = Work(need.kind, network_key(config), side_px)
        try:
            picture, thumb = self._in_tiles(
                config,
                self._too_large.left(work, [config.tile, *smaller_tiles(config.tile, side_px)]),
                work,
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
        a worker died of the pair before, or of others of its size; it is then stylized with as little memory
        as possible. pictures:
        the fields of `PairInputs`, pair after pair.
        """
        count = len(PairInputs._fields)
        inputs = [PairInputs(*pictures[each * count :][:count]) for each in range(len(entries))]
        config = self._variants[entries[0].variant]
        together = Work("together", network_key(config), _pixels(inputs) * len(entries))
        if len(entries) > 1 and self._too_large.left(together, [config.tile, -1])[0] != -1:
            try:
                return self._stylize_together(entries, inputs, config)
            except Exception as error:  # of one of the pairs; alone it shows of which
                if is_out_of_memory(error):
                    self._too_large.add(together, config.tile)
                    note = f"out of memory with {len(entries)} pairs together: stylized alone"
                    entries = [_with_note(entry, note) for entry in entries]
            release()
        pairs = zip(entries, inputs, strict=True)
        return [self._stylize_alone(entry, each, is_repeat) for entry, each in pairs]

    def _stylize_alone(self, entry: Entry, inputs: PairInputs, is_repeat: bool) -> Finished:
        """Stylize one pair, in smaller and smaller tiles where memory is short: the result is the same."""
        config = self._variants[entry.variant]
        work = Work("pair", network_key(config), _pixels([inputs]))
        all_tiles = [config.tile, *smaller_tiles(config.tile, config.size)]
        tiles = self._too_large.left(work, all_tiles)
        if is_repeat:
            # perhaps the system killed the worker for its memory, which it does without a message
            tiles = [side for side in tiles if 0 < side <= _REPEAT_TILE_PX < config.size] or tiles

        def attempt(tiled: StyleConfig) -> Finished:
            is_own = any(note.startswith("its worker died") for note in entry.notes)
            death = "its worker died" if is_own else "workers died of others of its size"
            why = death if is_repeat and tiled.tile == tiles[0] else "out of memory"
            note = f"{why}: stylized in tiles of {tiled.tile} pixels"
            noted = entry if tiled == config else _with_note(entry, note)
            return self._stylize_together([noted], [inputs], tiled)[0]

        try:
            return self._in_tiles(config, tiles, work, attempt)
        except Exception as error:  # one bad pair must not end the batch
            reason = _reason(error)
            if is_out_of_memory(error):
                reason = f"out of memory even in tiles ({reason}); lower --size or --workers"
        release()
        if self._writer.folder is not None:
            remove_partial(self._writer.folder, entry)
        return dataclasses.replace(entry, state="failed", error=reason), {}

    def _in_tiles(
        self, config: StyleConfig, tiles: Sequence[int], work: Work, attempt: Callable[[StyleConfig], T]
    ) -> T:
        """What `attempt` returns with the first of the tiles' sides for which memory suffices.

        Raises: what the last attempt raised.
        """
        for tile in tiles[:-1]:
            try:
                return attempt(dataclasses.replace(config, tile=tile))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._too_large.add(work, tile)
            release()
        return attempt(dataclasses.replace(config, tile=tiles[-1]))

    def _stylize_together(
        self, entries: Sequence[Entry], inputs: Sequence[PairInputs], config: StyleConfig
    ) -> list[Finished]:
        """Stylize and write pairs; `config`: that of their variant, perhaps with smaller tiles."""
        network = self._networks[network_key(config)]
        requests = [each.request() for each in inputs]
        is_on_cpu = torch.device(self._device).type == "cpu"
        threads = torch.get_num_threads() if is_on_cpu else None
        entries = [dataclasses.replace(entry, threads=threads) for entry in entries]
        folder = self._writer.folder if len(entries) == 1 else None
        begin = None if folder is None else load_partial(folder, entries[0])
        try:
            stylized = stylize_together(
                requests,
                config,
                network=network,
                device=self._device,
                on_step=self._follow(begin),
                begin=begin,
                keeper=None if folder is None else self._keeper(folder, entries[0]),
            )
        finally:
            self.steps = NO_STEPS
        if begin is not None:
            entries = [_with_note(entries[0], "interrupted, and gone on with from where it was")]
        settings = self._variants[entries[0].variant]
        pairs = zip(entries, inputs, stylized, strict=True)
        finished = [self._writer.finish(*each, settings) for each in pairs]
        if folder is not None:
            remove_partial(folder, entries[0])
        return finished

    def _follow(self, begin: Midway | None) -> Callable[[Progress], None]:
        """The callback that keeps `steps` up to date."""
        first: list[int] = []

        def follow(progress: Progress) -> None:
            if not first:
                first.append(progress.done - 1)
            self.steps = Steps(
                begun=first[0] if begin is not None else 0, done=progress.done, total=progress.total
            )

        return follow

    def _keeper(self, folder: Folder, entry: Entry) -> Keeper:
        """What saves a pair that takes long."""
        throttle = Throttle(SECONDS_BETWEEN_SAVES, SHARE_OF_TIME, is_due_at_once=False)

        def keep(midway: Midway) -> None:
            with throttle.timed():
                save_partial(folder, entry, midway)

        return Keeper(throttle.is_due, keep)


def _pixels(inputs: Sequence[PairInputs]) -> int:
    """Of one of the contents, which have one size."""
    height, width = inputs[0].content.rgb.shape[:2]
    return int(height * width)


def _with_note(entry: Entry, note: str) -> Entry:
    return dataclasses.replace(entry, notes=(*entry.notes, note))


def _reason(error: Exception) -> str:
    """One line; of an unexpected error, its type too."""
    return one_line(error) if isinstance(error, ConfigError) else type_and_last_line(error)
