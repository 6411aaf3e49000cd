"""Training on a GPU: 20 steps of every loss, policy and regularizer beside those of the CPU."""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from gpu_setting import CPU, Figures, Setting, check, images
from torch import Tensor

from gan.config import (
    BalanceConfig,
    DataConfig,
    EvaluationConfig,
    GanConfig,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
)
from gan.training import compilation
from gan.training.run import GanRun

STEPS, BATCH = 20, 16
# How far numbers may be from the CPU's in float32. `weights`: distance of the weights after 20 steps over the
# way that training has moved them. Measured on a CPU: other kernels 5e-7 in fp32, 0.11 to 0.2 in bf16; TF32
# has an eighth of bf16's rounding and must fail in fp32. In bf16 a policy may decide otherwise in a step.
TOLERANCES = {
    "fp32": {"weights": 0.005, "loss": 0.001, "skipped": 0.0},
    "bf16": {"weights": 0.5, "loss": 0.05, "skipped": 0.15},
    # the first steps are left out until gradients are scaled by less
    "fp16": {"weights": 0.6, "loss": 0.05, "skipped": 0.15},
}
PRECISIONS = ("fp32", "bf16")
"""In which all else is tried; fp16 by every family alone."""
# in the middle of the losses of 20 steps, so that the discriminator rests in some of them
LOSS_THRESHOLDS = {"hinge": 1.8, "least-squares": 0.2, "non-saturating": 1.33, "wasserstein": 0.0}


def config_of(loss: str = "non-saturating", policy: str = "none", **values: Any) -> GanConfig:
    """A tiny run of one tick of 20 steps, in which the discriminator and the generator each rest at times."""
    own: dict[str, dict[str, Any]] = {
        "accuracy": {"accuracy_threshold": 0.48},
        "loss": {"loss_threshold": LOSS_THRESHOLDS.get(loss, 1.0)},
        "steps": {"discriminator_steps": 2},
    }
    return GanConfig(
        data=DataConfig(resolution=16),
        network=NetworkConfig(width=8, latent_size=8),
        loss=LossConfig(name=loss),
        balance=BalanceConfig(policy=policy, **own.get(policy, {})),
        optimizer=OptimizerConfig(generator_lr=1e-3, discriminator_lr=1e-3),
        evaluation=EvaluationConfig(metric="swd", metric_images=32),
        batch=BATCH,
        images=STEPS * BATCH,
        images_per_tick=STEPS * BATCH,
        precision="fp32",
        compile="off",
    ).with_values(values)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run's numbers, and its tensors before and after."""

    row: dict[str, float]
    before: dict[str, Tensor]
    after: dict[str, Tensor]

    def error(self, expected: "Trained") -> float:
        """Distance of the networks' weights over the way that the expected ones have moved."""
        names = [
            name
            for name in expected.after
            if name.startswith(("generator.", "discriminator.")) and name.endswith((".weight", ".bias"))
        ]
        found, wanted, start = (
            torch.cat([tensors[name].flatten().double() for name in names])
            for tensors in (self.after, expected.after, expected.before)
        )
        return float((found - wanted).norm() / (wanted - start).norm())


def trained(config: GanConfig, device: torch.device, **ranks: int) -> Trained:
    """A run of one tick."""
    run = GanRun(config, images(config.data.resolution), device=device, **ranks)
    before = run.state_dict().tensors
    row = run.tick()
    return Trained(row, before, run.state_dict().tensors)


REGULARIZED: dict[str, dict[str, Any]] = {
    "augment": {"regularization.augment": "colour,translation,cutout"},
    "instance_noise": {"regularization.instance_noise": 0.2},
    "r1": {"regularization.r1": 0.1},
    "lazy_r1": {"regularization.r1": 0.1, "regularization.r1_every": 4},
    "minibatch_std": {"network.minibatch_std": 4},
    "packing": {"network.packing": 2},
}
REGULARIZED["all"] = {path: value for values in REGULARIZED.values() for path, value in values.items()}


@functools.cache
def on_cpu(loss: str, policy: str, regularizer: str | None = None) -> Trained:
    """The run that others are compared with: on the CPU, in float32, uncompiled."""
    return trained(config_of(loss, policy, **REGULARIZED.get(regularizer or "", {})), CPU)


def training(
    setting: Setting, loss: str, policy: str, precision: str, compiled: bool, figures: Figures
) -> None:
    """20 steps are those of the CPU."""
    compare(setting, config_of(loss, policy), on_cpu(loss, policy), precision, compiled, figures)


def regularized(setting: Setting, name: str, precision: str, compiled: bool, figures: Figures) -> None:
    """20 steps with a regularizer are those of the CPU."""
    loss, policy = "non-saturating", "none"
    config = config_of(loss, policy, **REGULARIZED[name])
    compare(setting, config, on_cpu(loss, policy, name), precision, compiled, figures)


def compare(
    setting: Setting, config: GanConfig, expected: Trained, precision: str, compiled: bool, figures: Figures
) -> None:
    """Train, and raise an error where it is not what is expected."""
    config = config.with_values({"precision": precision, "compile": "on" if compiled else "off"})
    with _backend(setting.backend):
        found = trained(config, setting.device)
    most = TOLERANCES[precision]
    others = 0.0
    for name in ("generator_skipped", "discriminator_skipped"):
        figures[name] = expected.row[name]
        others += abs(found.row[name] - expected.row[name])
    check(figures, "decided_otherwise", others, most["skipped"])
    for name in ("generator_loss", "discriminator_loss"):
        scale = max(1.0, abs(expected.row[name]))
        check(figures, name, abs(found.row[name] - expected.row[name]) / scale, most["loss"])
    # of steps in which others have trained, the weights are others
    check(figures, "weights", found.error(expected), math.inf if others else most["weights"])


@contextlib.contextmanager
def _backend(backend: Any) -> Iterator[None]:
    """Compile with this backend."""
    compiled = functools.partial(compilation.compiled_passes, backend=backend)
    with mock.patch.object(compilation, "compiled_passes", compiled):
        yield
