"""The `sample` and `evaluate` commands, which inspect a trained generator."""

import dataclasses
import json
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from common.cli.progress import counted, say
from gan import generation, image_grid
from gan.cli.display import objective
from gan.cli.flags import Evaluate, Sample
from gan.config import GanConfig
from gan.data.cache import cache_folder
from gan.data.loading import load_images
from gan.distributed import Ranks
from gan.metrics.evaluation import EvaluationResult, evaluate, real_features
from gan.metrics.preparation import metric_of_run
from perceptual.embedding import load_embedder


def run_sample(command: Sample, console: Console) -> int:
    """Write the requested images; returns the exit code.

    Raises: ConfigError when the checkpoint cannot be read or a file cannot be written.
    """
    generator, config = generation.load_trained(command.checkpoint)
    out = Path(command.out)
    latents = generation.random_latents(config, command.count, command.seed)
    samples = generation.sample(generator, latents, config)
    written: list[Path] = []
    if command.grid:
        written.append(out / "grid.png")
        image_grid.write_png(written[-1], image_grid.grid(samples))
    if command.singles:
        for index, image in enumerate(samples):
            written.append(out / "single" / f"{index:04d}.png")
            image_grid.write_png(written[-1], image)
    if command.interpolate:
        latents = generation.random_latents(config, command.interpolate, command.seed)
        written.append(out / "interpolation.gif")
        image_grid.write_gif(
            written[-1], list(generation.sample(generator, generation.walk(latents), config))
        )
    say(console, f"wrote {written[0]}" + (f" and {len(written) - 1} more" if len(written) > 1 else ""))
    return 0


def run_evaluate(command: Evaluate, console: Console) -> int:
    """Print the run's metric and all measures with their noise floors; returns the exit code.

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
    with console.status("embedding the real images"):
        metric = metric_of_run(config, images, device=device)
        embedder = load_embedder(command.features, weights=command.weights, device=device)
        real = real_features(images, embedder, cache_folder(config.data))
    with console.status(f"measuring {command.images:,} generated images"):
        row = metric.measure(_samples(generator, config, metric.num_images), Ranks())
        features = embedder.embed(_samples(generator, config, command.images)).cpu()
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


def _samples(generator: nn.Module, config: GanConfig, count: int) -> torch.Tensor:
    """Samples uint8 (count, H, W, C) from the latents that a tick measures, so that values are equal."""
    latents = generation.fixed_latents(config, "evaluation", count)
    return torch.from_numpy(generation.sample(generator, latents, config))


def _show(found: EvaluationResult, command: Evaluate, console: Console) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("measure", no_wrap=True)
    table.add_column("generated", justify="right", no_wrap=True)
    table.add_column("noise floor", justify="right", no_wrap=True)
    table.add_column("")
    for measure in found.measures:
        error = "" if measure.standard_error is None else f" +- {measure.standard_error:.2g}"
        table.add_row(measure.name, f"{measure.value:.4g}{error}", f"{measure.real:.4g}", measure.reading)
    console.print(table)
    if found.probe_accuracy is not None:
        right = f"{found.probe_accuracy:.1%} of the held-out images"
        say(console, f"modes are counted by a linear probe that is correct on {right}")
