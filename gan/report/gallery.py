"""The gallery of a generator: a grid of samples, a latent walk, and its nearest training pictures.

Reading one that was made imports no PyTorch.
"""

import contextlib
import hashlib
import json
from typing import Any

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder, parse_json
from gan.generator_file import find_generator
from gan.report.pictures import Gallery, Nearest

FOLDER = "gallery"
ABOUT, GRID, WALK = "gallery.json", "grid.webp", "walk.webp"
_VERSION = 1  # of the pictures; another makes a stored gallery anew


def gallery_pictures(location: str, *, may_make: bool = True, search_all: bool = False) -> Gallery | None:
    """The gallery of a trained generator, from the folder `gallery/` beside it, else made and kept there.

    location: folder of a run, or of a sweep, whose `best/` is meant; or a .safetensors file; local or a URL.
    may_make: without it nothing is made, which takes half a minute, and PyTorch is not imported.
    search_all: look for the nearest among all training pictures, however many.

    Returns: None where there is no generator yet, or no gallery of it and none may be made. A gallery that is
    made where the data are not (they may have moved) has its `missing` set, and is completed when it is asked
    for where they are. A folder that cannot be written does not matter.

    Raises: ConfigError when the generator's file is broken.
    """
    try:
        folder, name = find_generator(location)
    except ConfigError:
        return None
    data = folder.read(name)
    if data is None:
        return None
    place = gallery_folder(name)
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    stored = _read(folder, place, digest)
    is_complete = stored is not None and not stored.missing
    if stored is not None and search_all and stored.searched < stored.training_pictures:
        is_complete = False
    if is_complete or not may_make:
        return stored
    from gan.report.making import make_gallery  # PyTorch takes seconds to import

    made = make_gallery(folder.path(name), search_all=search_all)
    if stored is None or not made.missing:
        with contextlib.suppress(WriteError):
            _write(folder, place, digest, made)
    return made


def gallery_folder(generator: str) -> str:
    """The folder of the gallery of a generator's file; both relative to the run's or the sweep's folder."""
    return f"{generator.rpartition('/')[0]}/{FOLDER}".lstrip("/")


def _read(folder: Folder, place: str, digest: str) -> Gallery | None:
    """The stored gallery of this generator; None where there is none, or a broken one."""
    data = folder.read(f"{place}/{ABOUT}")
    if data is None:
        return None
    with contextlib.suppress(ConfigError, KeyError, TypeError, ValueError):
        about = parse_json(data, folder.path(f"{place}/{ABOUT}"))
        if about["version"] != _VERSION or about["generator"] != digest:
            return None
        pictures = {
            key: tuple(
                Nearest(strip=_file(folder, f"{place}/{_strip(key, index)}"), distance=float(distance))
                for index, distance in enumerate(about[key], 1)
            )
            for key in ("nearest", "held_out")
        }
        ratios = [
            None if about[key] is None else float(about[key])
            for key in ("memorization", "memorization_noise")
        ]
        return Gallery(
            grid=_file(folder, f"{place}/{GRID}"),
            walk=_file(folder, f"{place}/{WALK}"),
            searched=int(about["searched"]),
            training_pictures=int(about["training_pictures"]),
            missing=str(about["missing"]),
            nearest=pictures["nearest"],
            held_out=pictures["held_out"],
            memorization=ratios[0],
            memorization_noise=ratios[1],
        )
    return None


def _write(folder: Folder, place: str, digest: str, gallery: Gallery) -> None:
    """Store a gallery; what names its files is written last."""
    about: dict[str, Any] = {"version": _VERSION, "generator": digest}
    for key in ("searched", "training_pictures", "missing", "memorization", "memorization_noise"):
        about[key] = getattr(gallery, key)
    folder.write(f"{place}/{GRID}", gallery.grid)
    folder.write(f"{place}/{WALK}", gallery.walk)
    for key, rows in (("nearest", gallery.nearest), ("held_out", gallery.held_out)):
        about[key] = [row.distance for row in rows]
        for index, row in enumerate(rows, 1):
            folder.write(f"{place}/{_strip(key, index)}", row.strip)
    folder.write(f"{place}/{ABOUT}", (json.dumps(about, indent=2) + "\n").encode())


def _strip(key: str, index: int) -> str:
    return f"{key}_{index}.webp"


def _file(folder: Folder, name: str) -> bytes:
    data = folder.read(name)
    if data is None:
        raise KeyError(name)
    return data
