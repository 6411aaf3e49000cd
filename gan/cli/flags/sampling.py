"""The flags of the commands that take a generator along: `sample` and `export`."""

import dataclasses
from typing import Annotated

import tyro

from common.errors import require, require_between
from gan.export.formats import ExportFormat
from gan.image_grid import TICK_IMAGES
from gan.latent_walk import Interpolation

MOST_SAMPLES = 100_000
LARGEST_SEED = 2**63 - 1

CheckpointArgument = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Sample images from a trained generator: a grid, single images, GIFs of walks and of the training."""

    checkpoint: CheckpointArgument
    """Folder of a run or a sweep, or a .safetensors file."""
    out: str = "samples"
    """Folder for grid.png, single/0000.png and so on, interpolation.gif, over_time.gif, mixing.png and
    pyramid.png."""
    count: int = 64
    """Images to generate."""
    seed: int = 0
    """Decides the latents; the same seed gives the same images."""
    grid: bool = True
    """Write all images as one grid."""
    singles: bool = False
    """Write each image to a file of its own."""
    interpolate: int = 0
    """Write a GIF that walks through this number of latents and back to the first; 0 for none."""
    interpolation: Interpolation = "spherical"
    """Way from one latent to the next: spherical, on which latents stay as long as Gaussian ones are (White
    2016), or linear, whose middle is too short to be one."""
    over_time: int | None = None
    """Write a GIF of how the image of one latent looked after every tick: this one, counted from 0, of the
    grids that the run has in samples/. Needs the folder of a run."""
    truncation: float = 1.0
    """For style: how far styles are from their mean, 0 to 1; below 1 images are likelier and less varied."""
    mix: int = 0
    """For style: write mixing.png: so many images with the fine features of as many others; 0: none."""
    pyramid: bool = False
    """For msg: write pyramid.png, eight images at every scale that the generator draws."""

    def __post_init__(self) -> None:
        require_between("--truncation", self.truncation, 0, 1)
        require(0 <= self.mix <= 100, f"--mix must lie between 0 and 100, not {self.mix}; try 6")
        require(
            1 <= self.count <= MOST_SAMPLES,
            f"--count must lie between 1 and {MOST_SAMPLES}, not {self.count}; try 64",
        )
        require(
            0 <= self.seed <= LARGEST_SEED, f"--seed must lie between 0 and 2^63 - 1, not {self.seed}; try 0"
        )
        require(
            self.interpolate == 0 or 2 <= self.interpolate <= 1000,
            f"--interpolate must be 0 or lie between 2 and 1000, not {self.interpolate}; try 8",
        )
        require(
            self.over_time is None or 0 <= self.over_time < TICK_IMAGES,
            f"--over-time must lie between 0 and {TICK_IMAGES - 1}, the images of a tick's grid, not "
            f"{self.over_time}; try 0",
        )
        require(
            self.grid
            or self.singles
            or self.interpolate > 0
            or self.over_time is not None
            or self.mix > 0
            or self.pyramid,
            "--no-grid alone leaves nothing to write; add --singles or --interpolate 8",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Write a generator for other programs, as a file that was read again and compared before it is kept.

    It takes latents (N, latent size), standard normal, of any number, and makes images (N, channels, height,
    width) in [-1, 1], in fp32. Sizes and ranges are in the file's metadata.
    """

    checkpoint: CheckpointArgument
    """Folder of a run or a sweep, or a .safetensors file."""
    format: ExportFormat = "onnx"
    """onnx, for ONNX Runtime and others, which needs the extra `export`; or torch, a program of torch.export
    for PyTorch without this project."""
    out: str | None = None
    """File to write; default: generator.onnx or generator.pt2 in this folder."""
