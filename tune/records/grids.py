"""Small grids of samples over time: a WebP file a tick of a sweep's best trials, and whose are kept."""

import re
from collections.abc import Iterable, Mapping

from common.storage.folder import Folder
from tune.records.trial_records import BASELINE_NUMBER, best_first

GRIDS = "grids"
_NAME = re.compile(rf"{GRIDS}/(\d{{1,9}})/(\d{{1,15}})\.webp")

Grids = dict[int, dict[int, bytes]]
"""A WebP file's content by the trial's number and the images that it had seen, both ascending."""


def grid_name(number: int, images_seen: int) -> str:
    """The name, in the sweep's folder, of a trial's grid after so many images."""
    return f"{trial_folder(number)}/{images_seen:09d}.webp"


def trial_folder(number: int) -> str:
    """The folder, in the sweep's, of a trial's grids."""
    return f"{GRIDS}/{number:04d}"


def grid_places(folder: Folder) -> dict[int, list[int]]:
    """The trials that have grids in a sweep's folder, and after how many images each; all ascending."""
    found: dict[int, list[int]] = {}
    for file in folder.list_files(GRIDS):
        match = _NAME.fullmatch(file.name)
        if match is not None:
            found.setdefault(int(match[1]), []).append(int(match[2]))
    return {number: sorted(places) for number, places in sorted(found.items())}


def read_grids(folder: Folder, numbers: Iterable[int]) -> Grids:
    """The grids of these trials, as far as there are any: number -> images seen -> a WebP file's content.

    folder: the sweep's. Where a trial has trained a tick twice, since it had lost its workers or was resumed,
    the grid is the second one's. A trial without grids is left out, as is a file that was removed meanwhile.

    Raises: ConfigError when a file exists and cannot be read.
    """
    wanted, grids = set(numbers), Grids()
    for number, places in grid_places(folder).items():
        if number not in wanted:
            continue
        contents = {images: folder.read(grid_name(number, images)) for images in places}
        present = {images: content for images, content in contents.items() if content is not None}
        if present:
            grids[number] = present
    return grids


def kept_numbers(best_values: Mapping[int, float], most: int) -> set[int]:
    """The trials whose grids are kept: the `most` best ones by their best value so far, and the baseline.

    best_values: by number; lower is better. Nothing is kept where `most` is 0.
    """
    ranked = best_first((value, number) for number, value in sorted(best_values.items()))
    return {*ranked[:most], BASELINE_NUMBER} if most > 0 else set()
