"""One training of the compact network, from pictures to weights and their figures."""

import dataclasses
import hashlib
import json
import os
import time

import numpy as np
import safetensors.torch
import torch
from rich.console import Console

from common.cli.progress import progress_bar, say
from common.cli.signals import Interrupted, deferred
from common.errors import require
from common.storage.atomic import replace_file
from perceptual.train.classifier import Training, to_floats
from perceptual.train.config import TrainConfig
from perceptual.train.folding import folded, rescale
from perceptual.train.image_folder import LabelledImages, read_folder
from perceptual.train.state import load_state, save_state

_RESCALING_IMAGES = 4096
_WEIGHTS, _FIGURES, _STATE = ".safetensors", ".json", ".training.safetensors"


def run_train(config: TrainConfig, console: Console) -> int:
    """Read the pictures, train, fold, rescale and write the weights; returns the exit code 0.

    Raises: ConfigError for unusable data or files, and when weights of that name exist.
    """
    _check_files(config)
    pictures = _read(config, console)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training = Training(pictures, config, device)
    say(
        console,
        f"{len(training.train)} pictures to train on, {len(training.held_out)} held out, "
        f"{len(pictures.classes)} classes, {len(pictures.broken)} broken pictures skipped",
    )
    data_digest = pictures.digest()
    if config.resume:
        load_state(training, config.settings(), data_digest, config.file(_STATE))
    try:
        _train(training, config, data_digest, console)
    except Interrupted:
        if config.file(_STATE).exists():
            say(console, "the last finished epoch is saved; continue with the same flags and --resume")
        raise
    _write(training, pictures, config, console)
    return 0


def _check_files(config: TrainConfig) -> None:
    """Check, before an hour of work, that nothing would be overwritten and that the folder is writable."""
    state = config.file(_STATE)
    require(
        config.resume or not state.exists(),
        f"{state} is from a training that was stopped; add --resume to continue it, or remove the file",
    )
    for file in (config.file(_WEIGHTS), config.file(_FIGURES)):
        # the state is removed last: next to it, these files are from this training, stopped while it wrote
        require(
            not file.exists() or state.exists(),
            f"--out {config.out} must be a new name, weights are never overwritten; {file} exists",
        )
    folder = next(parent for parent in config.out.absolute().parents if parent.exists())
    require(
        folder.is_dir() and os.access(folder, os.W_OK),
        f"--out {config.out} must be in a folder that can be written, not {folder}; choose another",
    )


def _read(config: TrainConfig, console: Console) -> LabelledImages:
    with progress_bar(console) as bar:
        task = bar.add_task("reading", total=None, text="")
        return read_folder(
            config.data, config.side, lambda done, total: bar.update(task, completed=done, total=total)
        )


def _train(training: Training, config: TrainConfig, data_digest: str, console: Console) -> None:
    began, steps = time.monotonic(), 0
    total = config.epochs * training.steps_per_epoch
    with progress_bar(console) as bar:
        task = bar.add_task("training", total=total, text="")
        bar.update(task, completed=len(training.epochs) * training.steps_per_epoch)

        def images_per_s() -> float:
            return steps * config.batch / (time.monotonic() - began)

        def on_step() -> None:
            nonlocal steps
            steps += 1
            bar.update(task, advance=1, text=f"{images_per_s():.0f} images/s")

        while len(training.epochs) < config.epochs:
            epoch = training.run_epoch(on_step)
            with deferred():  # a signal takes effect after the file is complete
                save_state(training, config.settings(), data_digest, config.file(_STATE))
            say(
                console,
                f"epoch {len(training.epochs)}/{config.epochs}  loss {epoch.loss:.3f}  held-out accuracy "
                f"{epoch.accuracy:.3f}  {images_per_s():.0f} images/s  {_seconds(training) / 60:.1f} min",
            )


def _write(training: Training, pictures: LabelledImages, config: TrainConfig, console: Console) -> None:
    """Write the weights and their figures, then remove the state."""
    cpu = torch.device("cpu")
    network = folded(training.model.to(cpu))
    count = min(_RESCALING_IMAGES, len(training.train))
    some = np.random.default_rng(config.seed).choice(training.train, count, replace=False)
    rescale(network, to_floats(pictures.images[some], cpu))
    weights = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    for name, tensor in weights.items():
        require(
            bool(tensor.isfinite().all()),
            f"the trained {name} does not fit half precision; train longer or with a lower --peak-lr",
        )
    data = safetensors.torch.save(weights)
    figures = _figures(training, pictures, config) | {"sha256": hashlib.sha256(data).hexdigest()}
    with deferred():
        replace_file(config.file(_WEIGHTS), data)
        replace_file(config.file(_FIGURES), (json.dumps(figures, indent=1) + "\n").encode())
        config.file(_STATE).unlink(missing_ok=True)
    say(console, f"{config.file(_WEIGHTS)}  {len(data) / 2**20:.2f} MiB  sha256 {figures['sha256']}")


def _figures(training: Training, pictures: LabelledImages, config: TrainConfig) -> dict[str, object]:
    return {
        "data": config.data.resolve().name,
        "images": len(pictures.images),
        "held_out_images": len(training.held_out),
        "broken_pictures": len(pictures.broken),
        "classes": len(pictures.classes),
        "accuracy": training.epochs[-1].accuracy,
        "seconds": round(_seconds(training), 1),
        "settings": config.settings(),
        "history": [dataclasses.asdict(epoch) for epoch in training.epochs],
        "torch": torch.__version__,
    }


def _seconds(training: Training) -> float:
    return sum(epoch.seconds for epoch in training.epochs)
