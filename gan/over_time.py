"""How the image of one latent looked after every tick of a run, cut from the grids that the run has kept."""

from collections.abc import Callable

import numpy as np

from common.errors import ConfigError, require
from common.image_files import UnreadableError, opened
from gan.image_grid import TICK_COLUMNS, cut_out
from gan.run_folder import RunFolder, samples_file


def ticks_of(results: RunFolder) -> list[int]:
    """Images that were shown when each tick ended, oldest first.

    Raises: ConfigError where the folder is not that of a run, or the run has no finished tick.
    """
    ticks = [int(row["images_seen"]) for row in results.history()] if results.exists() else []
    require(
        bool(ticks),
        f"--over-time needs the folder of a run with a finished tick, and {results.folder.location} is none; "
        "give one that gan train made, or leave --over-time out",
    )
    return ticks


def over_time(
    results: RunFolder,
    ticks: list[int],
    index: int,
    *,
    resolution: int,
    on_tick: Callable[[], None] = lambda: None,
) -> list[np.ndarray]:
    """The image after each of the ticks, uint8 (H, W, 3), enlarged as it is in the grids.

    ticks: as `ticks_of` gives them. index: place of the image in a grid, row by row from 0. resolution: side
    of the run's images in pixels.

    Raises: ConfigError where a grid is missing, or none that a run wrote.
    """
    images = []
    for images_seen in ticks:
        name = samples_file(images_seen)
        data = results.folder.read(name)
        try:
            with opened(data or b"") as picture:
                grid = np.asarray(picture.convert("RGB"))
            images.append(cut_out(grid, index, columns=TICK_COLUMNS, side=resolution))
        except (UnreadableError, ConfigError) as error:
            reason = "is missing" if data is None else f"is not the grid of a tick ({error})"
            raise ConfigError(
                f"{results.folder.path(name)} {reason}; put it back, or leave --over-time out"
            ) from None
        on_tick()
    return images
