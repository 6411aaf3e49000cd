"""The pictures of a sweep's page, bounded in size: the winner's grid, and small grids over time."""

import contextlib
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from common.storage.folder import Folder, parse_json
from tune.records.event_reading import is_number
from tune.records.grids import Grids, read_grids

MOST_BYTES = 6 * 2**20
"""Of all grids over time; in the page a picture takes a third more."""
_GRID_SIDE_PX = 1024
_BEST_GRID, _BEST_ORIGIN = "best/grid.png", "best/trial.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pictures:
    """What a page shows of a sweep's samples."""

    over_time: Grids
    left_out: int
    """Grids that are in the folder and would make the page too large."""
    best: bytes | None
    """WebP: the grid in `best/`."""
    best_number: int | None
    """The trial in `best/`."""
    best_images: int | None


def read_pictures(files: Folder, numbers: Sequence[int]) -> Pictures:
    """Read the pictures in a sweep's folder. numbers: of the trials, the best ones first.

    Where there are too many, each trial keeps fewer of them, evenly over time, the last included.
    """
    found = read_grids(files, numbers)
    found = {number: found[number] for number in numbers if number in found}
    grids = {number: {at: data for at, data in of.items() if _is_webp(data)} for number, of in found.items()}
    kept = within(grids, MOST_BYTES)
    origin: Mapping[str, Any] = {}
    # a file that is damaged is no reason for having no page
    with contextlib.suppress(ValueError):
        origin = parse_json(files.read(_BEST_ORIGIN) or b"{}", _BEST_ORIGIN)
    number, images = (_count(origin.get(name)) for name in ("trial", "images_seen"))
    return Pictures(
        over_time=kept,
        left_out=sum(map(len, grids.values())) - sum(map(len, kept.values())),
        best=_webp(files.read(_BEST_GRID)),
        best_number=number,
        best_images=images,
    )


def within(grids: Mapping[int, Mapping[int, bytes]], most_bytes: int) -> Grids:
    """As many grids as fit: of each trial every second one, every fourth and so on where needed."""
    stride = 1
    while True:
        thinned = {number: _every(of, stride) for number, of in grids.items() if of}
        if sum(len(data) for of in thinned.values() for data in of.values()) <= most_bytes:
            return thinned
        if all(len(of) <= 1 for of in thinned.values()):
            break
        stride *= 2
    kept: Grids = {}
    for number, of in thinned.items():
        most_bytes -= sum(map(len, of.values()))
        if most_bytes < 0:
            break
        kept[number] = of
    return kept


def _every(of: Mapping[int, bytes], stride: int) -> dict[int, bytes]:
    """Every `stride`-th picture, counted from the last one, which is kept."""
    places = sorted(of)[::-1][::stride][::-1]
    return {place: of[place] for place in places}


def _count(value: Any) -> int | None:
    return int(value) if is_number(value) else None


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _webp(data: bytes | None) -> bytes | None:
    """A picture as WebP of a moderate size; None without one, or when it cannot be read."""
    if data is None:
        return None
    try:
        with Image.open(io.BytesIO(data)) as image:
            picture = image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    picture.thumbnail((_GRID_SIDE_PX, _GRID_SIDE_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=82)
    return buffer.getvalue()
