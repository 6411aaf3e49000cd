"""The `sample` command: images of a trained generator, walks between latents, one latent over time."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from torch import Tensor, nn

from common.cli.progress import progress_bar, say
from common.errors import require
from gan import generation, image_grid
from gan.cli.flags import Sample
from gan.config import GanConfig
from gan.family_pictures import check_asked, mixing_grid, pyramid_picture, truncate
from gan.generator_file import find_generator
from gan.latent_walk import walk
from gan.over_time import over_time, ticks_of
from gan.run_folder import RunFolder

_AT_ONCE = 1024  # samples that are in memory at once
_LARGEST_GRID_PX = 10_000
_PYRAMID_IMAGES = 8
_TICK_MS = 200  # so that the eye can follow the steps of a training


def run_sample(command: Sample, console: Console) -> int:
    """Write the requested images; returns the exit code.

    Raises: ConfigError when the checkpoint or a grid cannot be read, or a file cannot be written.
    """
    results = RunFolder(find_generator(command.checkpoint)[0])
    ticks = [] if command.over_time is None else ticks_of(results)
    generator, config = generation.load_trained(command.checkpoint)
    check_asked(config, truncation=command.truncation, mix=command.mix, pyramid=command.pyramid)
    truncate(generator, config, command.truncation)
    out = Path(command.out)
    written: list[Path] = []
    if command.grid:
        check_grid(command.count, config.data.resolution)
    if command.grid or command.singles:
        written += _write_samples(command, generator, config, out, console)
    if command.interpolate:
        latents = generation.random_latents(config, command.interpolate, command.seed)
        frames = walk(latents, interpolation=command.interpolation)
        images = list(_sampled(generator, frames, config, "walking", console))
        written.append(out / "interpolation.gif")
        image_grid.write_gif(written[-1], list(np.concatenate(images)))
    if command.mix:
        written.append(out / "mixing.png")
        image_grid.write_png(written[-1], mixing_grid(generator, config, command.mix, command.seed))
    if command.pyramid:
        written.append(out / "pyramid.png")
        picture = pyramid_picture(generator, config, _PYRAMID_IMAGES, command.seed)
        image_grid.write_png(written[-1], picture)
    if command.over_time is not None:
        written.append(out / "over_time.gif")
        image_grid.write_gif(
            written[-1], _over_time(results, ticks, command.over_time, config, console), frame_ms=_TICK_MS
        )
    say(console, f"wrote {written[0]}" + (f" and {len(written) - 1} more" if len(written) > 1 else ""))
    return 0


def check_grid(
    count: int,
    resolution: int,
    name: str = "--count",
    remedy: str = "lower --count, or add --no-grid --singles",
) -> None:
    """Raise `ConfigError` when so many images of that side would be a picture that few programs open."""
    side = math.ceil(math.sqrt(count)) * (resolution + image_grid.GAP_PX)
    require(
        side <= _LARGEST_GRID_PX,
        f"{name} {count} images of {resolution} pixels would be a grid of {side:,} pixels a side, at most "
        f"{_LARGEST_GRID_PX:,} are written; {remedy}",
    )


def _write_samples(
    command: Sample, generator: nn.Module, config: GanConfig, out: Path, console: Console
) -> list[Path]:
    """Write the grid and the single images that the command asks for; returns their files, the grid first."""
    latents = generation.random_latents(config, command.count, command.seed)
    parts: list[generation.Pixels] = []
    written: list[Path] = []
    for part in _sampled(generator, latents, config, "sampling", console):
        if command.grid:
            parts.append(part)
        for image in part if command.singles else ():
            written.append(out / "single" / f"{len(written):04d}.png")
            image_grid.write_png(written[-1], image)
    if command.grid:
        written.insert(0, out / "grid.png")
        image_grid.write_png(written[0], image_grid.grid(np.concatenate(parts)))
    return written


def _sampled(
    generator: nn.Module, latents: Tensor, config: GanConfig, what: str, console: Console
) -> Iterator[generation.Pixels]:
    """The images of the latents in parts, each uint8 (N, H, W, C), with a bar that says what is done."""
    bar = progress_bar(console)
    task = bar.add_task(what, total=len(latents), text="")
    with bar:
        for part in latents.split(_AT_ONCE):
            yield generation.sample(generator, part, config)
            bar.advance(task, len(part))


def _over_time(
    results: RunFolder, ticks: list[int], index: int, config: GanConfig, console: Console
) -> list[np.ndarray]:
    """The image of a latent after every tick, with a bar."""
    bar = progress_bar(console)
    task = bar.add_task("reading ticks", total=len(ticks), text="")
    with bar:
        return over_time(
            results,
            ticks,
            index,
            resolution=config.data.resolution,
            on_tick=lambda: bar.advance(task),
        )
