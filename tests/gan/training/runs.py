"""Small runs that the tests of this folder train."""

from typing import Any

import numpy as np
import torch

from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig
from gan.data.images import Images
from gan.training.run import GanRun

CONFIG = GanConfig(
    data=DataConfig(resolution=16),
    network=NetworkConfig(width=4, latent_size=8),
    evaluation=EvaluationConfig(metric="swd", metric_images=32),
    batch=16,
    images=200,
    images_per_tick=60,
    precision="fp32",
    compile="off",
)
TIMINGS = {"train_s", "evaluate_s", "images_per_s"}
ADAPTIVE = {
    "balance.policy": "adaptive",
    "balance.augment_every": 2,
    "balance.augment_target": -0.2,
    "balance.augment_speed": 4.0,
}


def few_images() -> Images:
    """100 images of noise in colour, always the same, of which 40 are held out."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, 16, 16, 3), dtype=np.uint8)
    return images_of(pixels)


def images_of(pixels: np.ndarray) -> Images:
    """pixels: uint8 (N, H, W, C), of which all after the 60th are held out."""
    return Images(
        train=pixels[:60],
        held_out=pixels[60:],
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint=str(pixels.sum()),
    )


def config_of(values: dict[str, Any]) -> GanConfig:
    """`CONFIG` with other values of these settings, by dotted path."""
    return CONFIG.with_values(values)


def timeless(row: dict[str, float]) -> dict[str, float]:
    """A tick's numbers without those that the clock decides."""
    return {name: value for name, value in row.items() if name not in TIMINGS}


def assert_same_state(first: GanRun, second: GanRun) -> None:
    """The states of both runs are equal bit by bit."""
    one, two = first.state_dict(), second.state_dict()
    assert one.meta == two.meta
    assert one.tensors.keys() == two.tensors.keys()
    differing = [name for name, tensor in one.tensors.items() if not torch.equal(tensor, two.tensors[name])]
    assert differing == []


def errors_on_a_ramp(values: dict[str, Any]) -> tuple[float, float]:
    """How far samples are from a picture that is the only one there is, in levels: before and after a run."""
    torch.set_num_threads(1)
    ramp = np.linspace(20, 235, 16).astype(np.uint8)
    pictures = np.broadcast_to(ramp[None, None, :, None], (100, 16, 16, 3)).copy()
    rates = {"optimizer.generator_lr": 3e-3, "optimizer.discriminator_lr": 3e-3}
    size = {"images": 6400, "images_per_tick": 6400, "ema_half_life": 200}
    run = GanRun(config_of({**values, **size, **rates}), images_of(pictures))

    def error() -> float:
        return float(np.abs(run.samples(32).astype(float) - ramp[:, None]).mean())

    before = error()
    run.tick()
    return before, error()
