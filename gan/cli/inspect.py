"""The `sample` and `evaluate` commands, which look at a trained generator; pictures are made in `drawing`."""

import dataclasses
import json
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from common.cli.progress import counted, say
from gan import generation, image_grid
from gan.cli.display import objective
from gan.cli.flags import Evaluate, Sample
from gan.config import GanConfig
from gan.data.images import cache_folder, load_images
from gan.metrics.evaluation import Evaluation, evaluate, real_features
from gan.metrics.registry import metric_of_run
from gan.networks import Generator
from gan.training import seeding
from perceptual.embedding import load_embedder


def run_sample(command: Sample, console: Console) -> int:
    """Write the pictures asked for; returns the exit code.

    Raises: ConfigError when the checkpoint cannot be read or a file cannot be written.
    """
    generator, config = generation.load_trained(command.checkpoint)
    out = Path(command.out)
    latents = generation.random_latents(generator, command.count, command.seed)
    pictures = generation.draw(generator, latents, config)
    written: list[Path] = []
    if command.grid:
        written.append(out / "grid.png")
        image_grid.write_png(written[-1], image_grid.grid(pictures))
    if command.singles:
        for index, picture in enumerate(pictures):
            written.append(out / "single" / f"{index:04d}.png")
            image_grid.write_png(written[-1], picture)
    if command.interpolate:
        latents = generation.random_latents(generator, command.interpolate, command.seed)
        written.append(out / "interpolation.gif")
        image_grid.write_gif(written[-1], list(generation.draw(generator, generation.walk(latents), config)))
    say(console, f"wrote {written[0]}" + (f" and {len(written) - 1} more" if len(written) > 1 else ""))
    return 0


def run_evaluate(command: Evaluate, console: Console) -> int:
    """Print the metric with its noise; returns the exit code.

    Raises: ConfigError when the checkpoint or its data cannot be read.
    """
    generator, config = generation.load_trained(command.checkpoint)
    moved = {"data.source": command.data, "data.root": command.data_root, "data.cache": command.cache_dir}
    config = config.with_values({path: value for path, value in moved.items() if value is not None})
    bar, move = counted(console, "reading images")
    with bar:
        images = load_images(config.data, on_progress=move)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator.to(device)
    with console.status("looking at the real images"):
        metric = metric_of_run(config, images, device=device)
        embedder = load_embedder(command.features, weights=command.weights, device=device)
        real = real_features(images, embedder, cache_folder(config.data))
    with console.status(f"measuring {command.images:,} generated images"):
        row = metric.measure(_drawn(generator, config, metric.num_images))
        features = embedder.embed(_drawn(generator, config, command.images)).cpu()
        found = evaluate(features, real, seed=config.data.data_seed)
    if command.json:
        print(json.dumps(row | dataclasses.asdict(found)))
        return 0
    say(
        console,
        f"{objective(row, metric.name)} on {metric.num_images} images of {config.data.source}; "
        "lower is better",
    )
    _show(found, command, console)
    return 0


def _drawn(generator: Generator, config: GanConfig, count: int) -> torch.Tensor:
    """Pictures uint8 (count, H, W, C) from the latents of a tick's measurement: the same weights, the same
    number."""
    latents = seeding.normal(config.seed, "evaluation", 0, (count, config.network.latent_size))
    return torch.from_numpy(generation.draw(generator, latents, config))


def _show(found: Evaluation, command: Evaluate, console: Console) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("measure", no_wrap=True)
    table.add_column("generated", justify="right", no_wrap=True)
    table.add_column("real", justify="right", no_wrap=True)
    table.add_column("")
    for measure in found.measures:
        error = "" if measure.standard_error is None else f" +- {measure.standard_error:.2g}"
        table.add_row(measure.name, f"{measure.value:.4g}{error}", f"{measure.real:.4g}", measure.reading)
    console.print(table)
    if found.probe_accuracy is not None:
        right = f"{found.probe_accuracy:.1%} of the held-out images"
        say(console, f"modes are counted by a linear probe that is right on {right}")
