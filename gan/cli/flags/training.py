"""The flags of the commands that begin with settings: `train`, and `describe`, which only looks at them."""

import dataclasses
import re
from typing import Annotated

import tyro

from common.cli.parsing import cluster_of_this_job
from common.errors import require
from gan.config import GanConfig
from gan.tracking.config import TrackingConfig


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Describe:
    """Show both networks layer by layer, and estimate the memory that training takes, without training.

    Takes the settings of train: from the folder of a run or a sweep, from --config, or by flags, which
    override the others.
    """

    directory: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")] = None
    """Folder of a run or a sweep; as the first word, before any flag."""
    gan: Annotated[GanConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=GanConfig)
    config: str | None = None
    """JSON file of settings that a run or a sweep saved; other flags override it."""
    workers: int = 1
    """Workers that share each batch; memory is that of one."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of tables."""

    def __post_init__(self) -> None:
        require(self.workers >= 1, f"--workers must be at least 1, not {self.workers}; try 1")
        require(
            self.directory is None or self.config is None,
            "a folder and --config exclude each other; give one of them",
        )
