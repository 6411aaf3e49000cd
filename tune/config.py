"""The configuration of a sweep and its rules."""

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from common.cli.parsing import cluster_of_this_job
from common.errors import require, require_no_password
from common.settings import Settings
from gan.config import GanConfig
from gan.tracking.config import TrackingConfig
from tune.search.samplers import SAMPLERS

# mypy cannot read a Literal that is computed
if TYPE_CHECKING:
    Search = str
else:
    Search = Literal[*SAMPLERS.names]

Scheduler = Literal["asha", "median", "pbt", "none"]

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepConfig(Settings):
    """Everything that decides a sweep, except its search space."""

    gan: Annotated[GanConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=GanConfig)
    name: str | None = None
    """Name of the sweep and of its folder; default: the data's name and the date."""
    storage: str = "runs"
    """Folder or URL (s3://bucket/path) in which the sweep's folder is created."""
    address: str | None = dataclasses.field(default_factory=cluster_of_this_job)
    """Address of a running Ray cluster (host:port, or auto on its nodes); default: in a job that cluster,
    else Ray is started here."""
    trials: int = 20
    """Trials in all; the first has the base settings. For pbt: size of the population."""
    workers_per_trial: int = 1
    """Ray Train workers that share one trial's batch."""
    min_workers: int | None = None
    """Fewest workers with which a trial continues while there is no room for all, such as after the loss of
    a node; default: it waits for all."""
    concurrent: int | None = None
    """Trials that train at the same time; default: as many as fit."""
    cpus_per_worker: int | None = None
    """CPUs and torch threads per worker; default: the node's CPUs shared evenly."""
    gpus_per_worker: float | None = None
    """GPUs per worker, also a fraction when --workers-per-trial is 1; default: 1 if there are GPUs."""
    search: Annotated[Search, tyro.conf.arg(help=SAMPLERS.help())] = "tpe"
    scheduler: Scheduler = "asha"
    """asha: successive halving; median: stop trials that are worse than the median; pbt: population based
    training; none: train every trial to its end."""
    grace_ticks: int = 2
    """Ticks that every trial trains before asha or median may stop it."""
    reduction: int = 3
    """For asha: one of this many trials continues to the next rung."""
    perturb_ticks: int = 2
    """For pbt: ticks between two exploits."""
    time_budget: str | None = None
    """Stop this long after the first trial started, such as 90s, 30m or 2h; the sweep can be resumed."""
    space: str | None = None
    """TOML file of the search space; default: see --print-space."""
    study: str | None = None
    """Storage URL of the Optuna study, such as sqlite:///studies.db or postgresql://...; default: a journal
    in the sweep's folder."""
    max_failures: int = 3
    """How many times in a row a trial restarts from the same checkpoint after it lost its workers."""
    ticks_per_save: int = 1
    """Ticks between two checkpoints of a trial."""
    grid_trials: int = 8
    """Best trials of which a small grid of samples is kept for each tick, beside those of the first trial and
    of the winner; 0 for none."""
    tracking: Annotated[TrackingConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=TrackingConfig
    )

    def __post_init__(self) -> None:
        require(
            self.name is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", self.name) is not None,
            f"--name may have up to 100 letters, digits, '.', '_' and '-', not {self.name!r}; try shapes-1",
        )
        at_least_one = {
            "trials": self.trials,
            "workers-per-trial": self.workers_per_trial,
            "concurrent": self.concurrent,
            "cpus-per-worker": self.cpus_per_worker,
            "grace-ticks": self.grace_ticks,
            "perturb-ticks": self.perturb_ticks,
            "ticks-per-save": self.ticks_per_save,
        }
        for flag, value in at_least_one.items():
            require(value is None or value >= 1, f"--{flag} must be at least 1, not {value}; try 1")
        require(self.reduction >= 2, f"--reduction must be at least 2, not {self.reduction}; try 3")
        require(self.grid_trials >= 0, f"--grid-trials must be at least 0, not {self.grid_trials}; try 8")
        require(self.max_failures >= 0, f"--max-failures must be at least 0, not {self.max_failures}; try 3")
        require(
            self.gpus_per_worker is None or self.gpus_per_worker >= 0,
            f"--gpus-per-worker must not be negative, not {self.gpus_per_worker}; try 1",
        )
        require(
            (self.gpus_per_worker or 0) <= 1 or float(self.gpus_per_worker or 0).is_integer(),
            f"--gpus-per-worker must be whole above 1, not {self.gpus_per_worker}; try 1",
        )
        require(
            self.workers_per_trial == 1 or (self.gpus_per_worker or 0) in (0, *range(1, 9)),
            f"--gpus-per-worker {self.gpus_per_worker} must be whole when {self.workers_per_trial} workers "
            "share a trial: NCCL gives every rank its own GPU; try --workers-per-trial 1",
        )
        require(
            self.scheduler != "pbt" or self.trials >= 2,
            f"--scheduler pbt needs a population of at least 2, not --trials {self.trials}; try --trials 4",
        )
        require(bool(self.storage.strip()), "--storage must name a folder or URL, not ''; try runs")
        if self.study is not None:
            require_no_password("--study", self.study, "put it into ~/.pgpass for PostgreSQL")
        self.time_budget_s()
        require(
            self.min_workers is None or 1 <= self.min_workers <= self.workers_per_trial,
            f"--min-workers must be between 1 and the --workers-per-trial {self.workers_per_trial}, "
            f"not {self.min_workers}; leave it out to wait for all",
        )
        for count in self.worker_counts():
            self.gan.check_workers(count)

    def worker_counts(self) -> Sequence[int]:
        """Numbers of workers with which a trial may train, ascending; the batch is divisible by each."""
        fewest = self.workers_per_trial if self.min_workers is None else self.min_workers
        return range(fewest, self.workers_per_trial + 1)

    def more_trials(self) -> str:
        """What `--trials` of a resume takes to run as many trials again: `+20`."""
        return f"+{self.trials}"

    def time_budget_s(self) -> float | None:
        """The time budget in seconds, None without one.

        Raises: ConfigError when it is not a positive duration.
        """
        if self.time_budget is None:
            return None
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", self.time_budget.strip())
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]] if match else 0.0
        require(seconds > 0, f"--time-budget must be a time such as 90s, 30m or 2h, not {self.time_budget!r}")
        return seconds
