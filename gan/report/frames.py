"""A run's grids of samples over time, shrunk, at most a few dozen spread evenly over the run."""

import io
import re

from PIL import Image

from common.image_files import UnreadableError, opened
from common.storage.folder import Folder

MOST_FRAMES = 24
_WIDEST_PX = 520
_QUALITY = 80
_NAME = re.compile(r"samples/(\d{1,15})\.png")


def sample_frames(folder: Folder, most: int = MOST_FRAMES) -> dict[int, bytes]:
    """The grids by images shown, ascending, with the first and the last: each a WebP file's content.

    A file that is no picture is left out.
    """
    names = {}
    for file in folder.list_files("samples"):
        match = _NAME.fullmatch(file.name)
        if match is not None:
            names[int(match[1])] = file.name
    places = spread_evenly(sorted(names), most)
    frames = {images: _shrunk(folder.read(names[images])) for images in places}
    return {images: frame for images, frame in frames.items() if frame is not None}


def spread_evenly(places: list[int], most: int) -> list[int]:
    """At most so many of the places, ascending, spread evenly over their order, the ends included."""
    if len(places) <= most:
        return places
    last = len(places) - 1
    return [places[round(index * last / (most - 1))] for index in range(most)]


def _shrunk(data: bytes | None) -> bytes | None:
    if data is None:
        return None
    try:
        with opened(data) as image:
            picture = image.convert("RGB")
    except UnreadableError:
        return None
    if picture.width > _WIDEST_PX:
        height = max(1, round(picture.height * _WIDEST_PX / picture.width))
        picture = picture.resize((_WIDEST_PX, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
