"""The flags of `python -m perceptual.train`, their defaults and rules."""

import dataclasses
import math
from pathlib import Path
from typing import Annotated, Any

import tyro

from common.errors import require, require_between

_LEAST_CROP = 16  # five stages with a pooling between each: four halvings


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train the compact network on a folder of classes.

    Writes <out>.safetensors, half precision, and <out>.json, the figures of its model card. After every epoch
    the state is saved in <out>.training.safetensors, which is removed when the weights are written.
    """

    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A folder with one folder of pictures a class."""
    out: Path = Path("compact")
    """Where the weights are written, without extension; existing weights are never overwritten."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Resume a stopped training after its last finished epoch; repeat its other flags."""
    epochs: int = 16
    batch: int = 256
    side: int = 64
    """Pictures are cut and resized to squares of this side, in pixels."""
    crop: int = 48
    """Side of the random crops that the network is trained on, in pixels; accuracy is measured on whole
    pictures."""
    peak_lr: float = 0.2
    weight_decay: float = 5e-4
    """Applies to the weights of the convolutions and the head only."""
    label_smoothing: float = 0.1
    held_out: float = 0.05
    """Share of the pictures to measure accuracy on."""
    compile: bool = False
    """Compile the network: faster after a minute; the weights differ in their last digits."""
    seed: int = 0

    def __post_init__(self) -> None:
        require(
            bool(self.out.name) and self.out.suffix not in (".safetensors", ".json"),
            f"--out must be a file's name without extension, not {self.out}; try weights/compact-2",
        )
        require(self.epochs >= 1, f"--epochs must be at least 1, not {self.epochs}; try 16")
        require(self.batch >= 2, f"--batch must be at least 2, not {self.batch}; try 256")
        require_between("--side", self.side, _LEAST_CROP, 1024)
        require(
            _LEAST_CROP <= self.crop <= self.side,
            f"--crop must lie between {_LEAST_CROP} and --side {self.side}, not {self.crop}; try {self.side}",
        )
        require(
            math.isfinite(self.peak_lr) and 0 < self.peak_lr <= 10,
            f"--peak-lr must be above 0 and at most 10, not {self.peak_lr:g}; try 0.2",
        )
        require_between("--weight-decay", self.weight_decay, 0, 1)
        require_between("--label-smoothing", self.label_smoothing, 0, 0.9)
        require_between("--held-out", self.held_out, 0.001, 0.5)
        require(0 <= self.seed < 2**63, f"--seed must lie between 0 and 2^63 - 1, not {self.seed}; try 0")

    def settings(self) -> dict[str, Any]:
        """The settings that the weights depend on, as JSON values by field."""
        others = ("data", "out", "resume", "compile")
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in others}

    def file(self, suffix: str) -> Path:
        """<out><suffix>."""
        return self.out.with_name(self.out.name + suffix)
