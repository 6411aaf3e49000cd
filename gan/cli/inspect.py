"""The `evaluate` command, which measures a trained generator."""

import dataclasses
import json
from collections.abc import Callable
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from common.cli.progress import counted, progress_bar, say
from common.device import exact_float32, return_freed_memory
from common.errors import naming_flag, require
from gan import generation
from gan.cli.display import objective
from gan.cli.flags import Evaluate
from gan.cli.run_verdict import verdict_of
from gan.config import GanConfig
from gan.data.cache import cache_folder
from gan.data.images import Images
from gan.data.loading import load_images
from gan.distributed import Ranks
from gan.metrics.artifacts import artifact_sums
from gan.metrics.classes.classifier import NoClassifierError
from gan.metrics.classes.modes import ModeCounter, mode_counter
from gan.metrics.evaluation import EvaluationResult, evaluate, real_features
from gan.metrics.few import check_sizes, say_few
from gan.metrics.preparation import artifacts_of_run, compared_with_all, metric_of_run, real_images
from perceptual.embedding import Embedder, load_embedder

_AT_ONCE = 1024  # samples that are in memory at once


class Evaluated(NamedTuple):
    """A generator measured against the data that it was trained with."""

    config: GanConfig
    """The settings of its run, with the places where its data are now."""
    images: Images
    objective: str
    """Name of the run's metric."""
    num_images: int
    """Generated images that `row` is measured on."""
    row: dict[str, float]
    """What a tick measures."""
    found: EvaluationResult


def run_evaluate(command: Evaluate, console: Console) -> int:
    """Print the run's metric and all measures with their noise floors; returns the exit code.

    Raises: ConfigError when the checkpoint or its data cannot be read.
    """
    config, images, metric, num_images, row, found = measure(command, console)
    health = verdict_of(command.checkpoint)
    if command.json:
        texts = {} if health is None else {"verdict": health.name, "verdict_evidence": health.evidence}
        print(json.dumps(row | dataclasses.asdict(found) | texts))
        return 0
    say(
        console,
        f"{objective(row, metric)} on {num_images} images of {config.data.source}; lower is better",
    )
    if health is not None:
        remedy = f"; {health.remedy}" if health.remedy else ""
        say(console, f"the run it comes from: {health.name}: {health.evidence}{remedy}")
    few = say_few(len(images.train), len(images.held_out))
    if few is not None:
        say(console, few)
    what = "channels of the held-out images" if images.channel_classes else "held-out images"
    _show(found, what, console)
    return 0


def measure(command: Evaluate, console: Console) -> Evaluated:
    """Measure a generator as the command says, with a bar in a terminal.

    Raises: ConfigError when the checkpoint or its data cannot be read.
    """
    generator, config = generation.load_trained(command.checkpoint)
    config = command.moved(config)
    return_freed_memory()
    bar, move = counted(console, "reading images")
    with bar:
        images = load_images(config.data, on_progress=move)
    _check_data(command, config, images, generator)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator.to(device)
    with console.status("preparing the metrics"):
        metric = metric_of_run(config, images, device=device)
        with naming_flag("--weights", command.weights):
            embedder = load_embedder(command.features, weights=command.weights, device=device)
        whole = compared_with_all(config)
        artifacts = artifacts_of_run(whole, images, command.images, device=device)
        others = [
            metric_of_run(dataclasses.replace(whole, evaluation=each), images, device=device)
            for each in whole.evaluation.by_other_networks(command.features, command.images)
        ]
    counter = _mode_counter(command, whole, images, device, console)
    bar = progress_bar(console)
    total = len(images.train) * (2 if images.flip else 1) + len(images.held_out)
    task, mine = (
        bar.add_task(f"embedding {what} images", total=number, text="")
        for what, number in (("real", total), ("generated", command.images))
    )
    with bar:
        real = real_features(
            images, embedder, cache_folder(config.data), lambda count: bar.advance(task, count)
        )
        bar.update(task, completed=total)
        features, sums, counts = _embedded(
            generator,
            config,
            embedder,
            command.images,
            counter if isinstance(counter, ModeCounter) else None,
            lambda n: bar.advance(mine, n),
        )
    with console.status("comparing both"):
        row = metric.measure(_samples(generator, config, metric.num_images), Ranks())
        found = evaluate(features, real)
        if isinstance(counter, ModeCounter):
            found = found.with_modes(counter, counts)
        elif counter is not None:
            found = found.without_modes(counter)
        for other in others:
            samples = _samples(generator, config, other.num_images, "confirmation")
            found = found.with_distance(other.name, other.measure(samples, Ranks()))
        found = found.with_artifacts(artifacts, sums)
    return Evaluated(config, images, metric.name, metric.num_images, row, found)


def _mode_counter(
    command: Evaluate, config: GanConfig, images: Images, device: str, console: Console
) -> ModeCounter | str | None:
    """What counts modes, or why nothing can; None where nobody asked."""
    if not command.modes:
        return None
    with console.status("preparing the classifier of the classes"), exact_float32():
        try:
            return mode_counter(real_images(config, images, torch.device(device)))
        except NoClassifierError as error:
            return str(error)


def _check_data(command: Evaluate, config: GanConfig, images: Images, generator: nn.Module) -> None:
    """Raise `ConfigError` for data with which the generator, or what was asked for, cannot be measured."""
    check_sizes(len(images.train), len(images.held_out), config.data.source)
    channels = _samples(generator, config, 1).shape[3]
    names = {1: ("grey", "grey"), 3: ("colour", "rgb")}
    (makes, flag), (has, _) = names[channels], names[images.channels]
    require(
        channels == images.channels,
        f"{command.checkpoint} makes images in {makes}, and --data {config.data.source} has pictures in "
        f"{has}; name its own data with --data, or read these with --colour {flag}",
    )
    require(
        not command.modes or images.train_labels is not None,
        f"--modes needs classes, one subfolder each, and --data {config.data.source} has none; leave it out",
    )


def _embedded(
    generator: nn.Module,
    config: GanConfig,
    embedder: Embedder,
    count: int,
    counter: ModeCounter | None,
    on_batch: Callable[[int], None],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features (count, D), `artifact_sums` and counts of classes of samples, which are not kept.

    Their latents are not those of a tick: by a tick's value the state may have been chosen.
    """
    features, sums, counts = torch.empty(count, embedder.length), [], torch.zeros(())
    latents = generation.fixed_latents(config, "confirmation", count)
    for start in range(0, count, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        samples = torch.from_numpy(generation.sample(generator, latents[part], config))
        features[part] = embedder.embed(samples).cpu()
        sums.append(artifact_sums(samples))
        if counter is not None:
            counts = counts + counter.counts(samples)
        on_batch(len(samples))
    return features, torch.stack(sums).sum(dim=0), counts


def _samples(
    generator: nn.Module, config: GanConfig, count: int, purpose: generation.FixedPurpose = "evaluation"
) -> torch.Tensor:
    """Samples uint8 (count, H, W, C), by default those that a tick measures, so that values are equal."""
    latents = generation.fixed_latents(config, purpose, count)
    return torch.from_numpy(generation.sample(generator, latents, config))


def _show(found: EvaluationResult, classified: str, console: Console) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("measure", no_wrap=True)
    table.add_column("generated", justify="right", no_wrap=True)
    table.add_column("noise floor", justify="right", no_wrap=True)
    table.add_column("")
    for measure in found.measures:
        error = "" if measure.standard_error is None else f" +- {measure.standard_error:.2g}"
        table.add_row(measure.name, f"{measure.value:.4g}{error}", f"{measure.real:.4g}", measure.reading)
    console.print(table)
    if found.left_out:
        say(console, f"modes and kl are left out: {found.left_out}")
    elif found.classifier_accuracy is not None:
        right = f"{found.classifier_accuracy:.1%} of the {classified}"
        say(console, f"modes are counted by a classifier that is correct on {right}")
