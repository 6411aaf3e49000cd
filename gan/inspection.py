"""The `sample` and `evaluate` commands, which look at a trained generator; pictures are made in `drawing`."""

from pathlib import Path

import torch
from rich.console import Console

from common.progress import counted, say
from gan import drawing, grids, sampling
from gan.commands import Evaluate, Sample
from gan.data import load_images
from gan.display import objective
from gan.metrics import build_metric


def run_sample(command: Sample, console: Console) -> int:
    """Write the pictures asked for; returns the exit code.

    Raises: ConfigError when the checkpoint cannot be read or a file cannot be written.
    """
    generator, config = drawing.load_trained(command.checkpoint)
    out = Path(command.out)
    latents = drawing.random_latents(generator, command.count, command.seed)
    pictures = drawing.draw(generator, latents, config)
    written: list[Path] = []
    if command.grid:
        written.append(out / "grid.png")
        grids.write_png(written[-1], grids.grid(pictures))
    if command.singles:
        for index, picture in enumerate(pictures):
            written.append(out / "single" / f"{index:04d}.png")
            grids.write_png(written[-1], picture)
    if command.interpolate:
        latents = drawing.random_latents(generator, command.interpolate, command.seed)
        written.append(out / "interpolation.gif")
        grids.write_gif(written[-1], list(drawing.draw(generator, drawing.walk(latents), config)))
    say(console, f"wrote {written[0]}" + (f" and {len(written) - 1} more" if len(written) > 1 else ""))
    return 0


def run_evaluate(command: Evaluate, console: Console) -> int:
    """Print the metric with its noise; returns the exit code.

    Raises: ConfigError when the checkpoint or its data cannot be read.
    """
    generator, config = drawing.load_trained(command.checkpoint)
    moved = {"data.source": command.data, "data.root": command.data_root, "data.cache": command.cache_dir}
    config = config.with_values({path: value for path, value in moved.items() if value is not None})
    bar, move = counted(console, "reading images")
    with bar:
        images = load_images(config.data, on_progress=move)
    name = config.evaluation.metric
    metric = build_metric(
        name,
        held_out=images.held_out,
        train=images.train,
        num_images=config.evaluation.metric_images,
        seed=config.data.data_seed,
    )
    shape = (metric.num_images, config.network.latent_size)
    # the latents of a tick's measurement, so that the same weights give the same number
    latents = sampling.normal(config.seed, "evaluation", 0, shape)
    generator.to("cuda" if torch.cuda.is_available() else "cpu")
    value = metric.measure(drawing.draw(generator, latents, config))
    say(
        console,
        f"{objective({name: value, f'{name}_noise': metric.noise}, name)} on {metric.num_images} images of "
        f"{config.data.source}; {'lower' if metric.lower_is_better else 'higher'} is better",
    )
    return 0
