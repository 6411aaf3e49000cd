"""The commands of `python -m gan` and their flags.

Quick to import, so that a wrong flag is reported before torch and Ray are loaded.
"""

import argparse
import dataclasses
import re
from collections.abc import Sequence
from typing import Annotated, Literal

import tyro

from common.cli.parsing import cluster_of_this_job, parse, with_home
from common.errors import require
from common.storage.folder import Folder, parse_json
from gan.config import GanConfig
from gan.config_file import CONFIG_FILE, DETAILS, read_config
from gan.tracking.config import TrackingConfig

PROG = "python -m gan"
MOST_IMAGES = 100_000
"""Most images that are measured: the time of some measures grows with its square."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Train one GAN with Ray Train, on this machine or on a cluster.

    The results are in <storage>/<name>: config.json, history.csv (a row a tick), samples/ (a grid a tick),
    last.safetensors and best.safetensors (complete states), generator.safetensors (only the best generator),
    report.html (a page about the run).
    """

    gan: Annotated[GanConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=GanConfig)
    workers: int | None = None
    """Ray Train workers that share each batch; default: 1, or as before with --resume."""
    gpu: tyro.conf.FlagCreatePairsOff[bool] = False
    """Train on GPUs, one a worker; default: if there are enough."""
    no_gpu: tyro.conf.FlagCreatePairsOff[bool] = False
    """Train on CPUs."""
    address: str | None = dataclasses.field(default_factory=cluster_of_this_job)
    """Address of a running Ray cluster (host:port, or auto on its nodes); default: in a job its own cluster,
    else Ray is started here."""
    name: str | None = None
    """Name of the run and of its folder; default: the data's name and the time."""
    storage: str = "runs"
    """Folder or URL (s3://bucket/path) in which the run's folder is made."""
    config: str | None = None
    """JSON file of settings that a run or a sweep saved; other flags override it."""
    resume: str | None = None
    """Folder of a run to resume from its last tick; --images may be raised."""
    changed_data: tyro.conf.FlagCreatePairsOff[bool] = False
    """With --resume: go on although its pictures are no longer those that it began with."""
    tracking: Annotated[TrackingConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=TrackingConfig
    )

    def __post_init__(self) -> None:
        require(not (self.gpu and self.no_gpu), "--gpu and --no-gpu exclude each other; give one of them")
        require(
            self.workers is None or self.workers >= 1,
            f"--workers must be at least 1, not {self.workers}; try 1",
        )
        require(
            self.name is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", self.name) is not None,
            f"--name may have letters, digits, '.', '_' and '-', at most 100, not {self.name!r}; try run-1",
        )
        require(
            self.resume is None or (self.config is None and self.name is None),
            "--resume takes settings and name from its folder; leave --config and --name out",
        )
        require(
            self.resume is not None or not self.changed_data,
            "--changed-data has no meaning without --resume; leave it out",
        )

    def wants_gpu(self) -> bool | None:
        """Whether GPUs are requested; None when neither flag is given."""
        return True if self.gpu else False if self.no_gpu else None


CheckpointArgument = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Sample images from a trained generator: a grid, single images, a walk between latents as a GIF."""

    checkpoint: CheckpointArgument
    """Folder of a run or a sweep, or a .safetensors file."""
    out: str = "samples"
    """Folder for grid.png, single/0000.png and so on, and interpolation.gif."""
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

    def __post_init__(self) -> None:
        require(
            1 <= self.count <= 100_000, f"--count must lie between 1 and 100000, not {self.count}; try 64"
        )
        require(0 <= self.seed < 2**63, f"--seed must lie between 0 and 2^63 - 1, not {self.seed}; try 0")
        require(
            self.interpolate == 0 or 2 <= self.interpolate <= 1000,
            f"--interpolate must be 0 or lie between 2 and 1000, not {self.interpolate}; try 8",
        )
        require(
            self.grid or self.singles or self.interpolate > 0,
            "--no-grid alone leaves nothing to write; add --singles or --interpolate 8",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a trained generator against the held-out images of its data, as training does after a tick."""

    checkpoint: CheckpointArgument
    """Folder of a run or a sweep, or a .safetensors file."""
    data: str | None = None
    """Where its data are now, if they have moved; default: where they were."""
    data_root: str | None = None
    """Folder of torchvision's data sets, if it has moved."""
    cache_dir: str | None = None
    """Folder of the decoded arrays, if it has moved."""
    colour: Literal["auto", "grey", "rgb"] | None = None
    """Read its data as grey or in colour, as the generator's images are; default: as before."""
    images: int = 5000
    """Generated images that the table is measured on, 16 to 100,000."""
    modes: tyro.conf.FlagCreatePairsOff[bool] = False
    """Also count the classes that the images are of, by a classifier that is trained once, in a minute or
    two; needs labels."""
    features: Literal["compact", "lite0", "inception"] = "compact"
    """Network whose features are compared: compact and lite0 are shipped, inception is FID's."""
    weights: str | None = None
    """File of its weights; default: what is shipped, for inception the cache or a download."""
    metric_weights: str | None = None
    """File of the weights of the run's own metric, if it has moved."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def __post_init__(self) -> None:
        require(
            16 <= self.images <= MOST_IMAGES,
            f"--images must lie between 16 and {MOST_IMAGES}, not {self.images}; try 5000",
        )

    def moved(self, config: GanConfig) -> GanConfig:
        """The generator's settings with the places where its data and weights are now."""
        values = {
            "data.source": self.data,
            "data.root": self.data_root,
            "data.cache": self.cache_dir,
            "data.colour": self.colour,
            "evaluation.metric_weights": self.metric_weights,
        }
        return config.with_values({path: value for path, value in values.items() if value is not None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Write a run's page anew, report.html in its folder; also while the run trains."""

    directory: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder of the run, a path or a URL."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gallery:
    """Make a generator's gallery: samples, a walk between latents, training pictures nearest to samples.

    The files are in the folder gallery/ beside the generator; the pages of runs and sweeps show them.
    """

    checkpoint: CheckpointArgument
    """Folder of a run or a sweep, or a .safetensors file."""


GanCommand = Train | Sample | Evaluate | Report | Gallery


def parse_command(args: Sequence[str], config: GanConfig | None = None) -> GanCommand:
    """The command on a command line; `--help` prints and raises SystemExit(0).

    config: settings of a run that flags override; default: those of --resume's run or of --config's file.

    Raises: ConfigError, one line, for a wrong command line.
    """
    base = Train(gan=config or _base_config(args), tracking=_base_tracking(args))
    train = tyro.conf.subcommand("train", default=base, description="Train one GAN with Ray Train.")
    sample = tyro.conf.subcommand("sample", description="Sample images from a trained generator.")
    evaluate = tyro.conf.subcommand("evaluate", description="Measure a trained generator.")
    report = tyro.conf.subcommand("report", description="Write a run's page anew.")
    gallery = tyro.conf.subcommand("gallery", description="Show what a trained generator makes.")
    command: GanCommand = parse(
        Annotated[Train, train]
        | Annotated[Sample, sample]
        | Annotated[Evaluate, evaluate]
        | Annotated[Report, report]
        | Annotated[Gallery, gallery],
        args,
        prog=PROG,
        description="Train one GAN, sample images from it, measure it, look at it.",
    )
    return command


def _base_config(args: Sequence[str]) -> GanConfig:
    """The settings that flags override: those of --resume's run or of --config's file, else the defaults."""
    resume, config = _last_value("--resume", args), _last_value("--config", args)
    if resume:
        return read_config(f"{resume.rstrip('/')}/{CONFIG_FILE}", "--resume")
    if config:
        return read_config(config, "--config")
    return GanConfig()


def _base_tracking(args: Sequence[str]) -> TrackingConfig:
    """The trackers of --resume's run, else none."""
    resume = _last_value("--resume", args)
    data = Folder(resume).read(DETAILS) if resume else None
    names = parse_json(data, f"{resume}/{DETAILS}").get("trackers") if data is not None else None
    return TrackingConfig.of(names if isinstance(names, list) else ())


def _last_value(flag: str, args: Sequence[str]) -> str | None:
    """The text that a command line gives to a flag, None without; parsing reports a missing text."""
    reader = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    reader.add_argument(flag, nargs="?", dest="value")
    value: str | None = reader.parse_known_args(with_home(args))[0].value
    return value
