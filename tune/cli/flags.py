"""The commands of `python -m tune` and their flags.

Imports neither torch nor Ray, so that a wrong flag is reported at once.
"""

import argparse
import dataclasses
import re
from collections.abc import Sequence
from typing import Annotated

import tyro

from common.cli.parsing import cluster_of_this_job, parse, with_home
from common.errors import require
from gan.config import GanConfig
from gan.config_file import read_config, with_absolute_paths
from gan.tracking.config import TrackingChanges
from tune.cli.looking import Compare, Dashboard, Directory, Report, Status, with_watch_seconds
from tune.config import SweepConfig
from tune.search.study_url import absolute_study_url

PROG = "python -m tune"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """Search the settings of a GAN with Optuna, each trial trained by warm Ray Train workers.

    Results are in <storage>/<name>: sweep.json, trials.csv and trials.parquet (a row per trial),
    history.parquet (a row per tick), report.html (a page with charts), study.journal (for
    optuna-dashboard), best/ (generator, config, grid).
    """

    sweep: Annotated[SweepConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=SweepConfig)
    config: str | None = None
    """JSON file of base settings that a run or a sweep saved; flags override its values."""
    print_space: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the search space as TOML, which can be edited and passed to --space, and exit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resume:
    """Resume a sweep that was stopped or killed, or add trials to a finished one."""

    directory: Directory
    """Folder of the sweep, a path or a URL."""
    trials: str | None = None
    """Trials in all, or more of them as +20; default: as before."""
    address: str | None = dataclasses.field(default_factory=cluster_of_this_job)
    """Address of a running Ray cluster (host:port, or auto on its nodes); default: in a job that cluster,
    else Ray is started here."""
    concurrent: int | None = None
    """Trials that train at the same time; default: as before."""
    time_budget: str | None = None
    """Stop after this time, such as 90s, 30m or 2h; default: none."""
    data: str | None = None
    """Where its data are now, if they have moved; default: where they were."""
    data_root: str | None = None
    """Folder of torchvision's data sets, if it has moved."""
    cache_dir: str | None = None
    """Folder of the decoded arrays, if it has moved."""
    study: str | None = None
    """Storage URL of the Optuna study, if its database has moved."""
    changed_data: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on although the pictures are no longer those that the sweep began with."""
    tracking: Annotated[TrackingChanges, tyro.conf.OmitArgPrefixes] = dataclasses.field(
        default_factory=TrackingChanges
    )

    def __post_init__(self) -> None:
        require(
            self.trials is None or re.fullmatch(r"\+?[1-9]\d{0,6}", self.trials) is not None,
            f"--trials must be a number, or +N for N more, not {self.trials!r}; try +20",
        )

    def changed(self, config: SweepConfig) -> SweepConfig:
        """The sweep's settings with the changes of this command."""
        trials = config.trials
        if self.trials is not None:
            trials = int(self.trials) + (config.trials if self.trials.startswith("+") else 0)
        moved = {"data.source": self.data, "data.root": self.data_root, "data.cache": self.cache_dir}
        gan = config.gan.with_values({path: value for path, value in moved.items() if value is not None})
        study = self.study or config.study
        return dataclasses.replace(
            config,
            gan=with_absolute_paths(gan),
            study=study and absolute_study_url(study),
            trials=trials,
            address=self.address,
            concurrent=self.concurrent or config.concurrent,
            time_budget=self.time_budget,
            tracking=self.tracking.changed(config.tracking),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Best:
    """Export the settings of a sweep's best trial for `python -m gan train --config`."""

    directory: Directory
    """Folder of the sweep, a path or a URL."""
    out: str = "best.json"
    """File to write."""
    keep_seed: bool = False
    """Keep the trial's seed, with which training repeats it, its luck included; default: another seed."""


TuneCommand = Sweep | Resume | Best | Report | Compare | Dashboard | Status


def parse_command(args: Sequence[str], config: SweepConfig | None = None) -> TuneCommand:
    """Parse a command line; `--help` prints and raises SystemExit(0).

    config: settings of a new sweep that flags override; default: those of --config's file, else the defaults.

    Raises: ConfigError, one line, when it is wrong.
    """
    base = Sweep(sweep=config or SweepConfig(gan=_base_config(args)))
    sweep = tyro.conf.subcommand("sweep", default=base, description="Search the settings of a GAN.")
    resume = tyro.conf.subcommand("resume", description="Resume a sweep, or add trials to it.")
    best = tyro.conf.subcommand("best", description="Export the settings of the best trial.")
    report = tyro.conf.subcommand("report", description="Write a page about a sweep, or several.")
    compare = tyro.conf.subcommand("compare", description="Compare sweeps on an equal budget.")
    dashboard = tyro.conf.subcommand("dashboard", description="Show a sweep's study in the browser.")
    status = tyro.conf.subcommand("status", description="Show how a sweep stands, also while it runs.")
    command: TuneCommand = parse(
        Annotated[Sweep, sweep]
        | Annotated[Resume, resume]
        | Annotated[Best, best]
        | Annotated[Report, report]
        | Annotated[Compare, compare]
        | Annotated[Dashboard, dashboard]
        | Annotated[Status, status],
        with_watch_seconds(args) if args[:1] == ["status"] else args,
        prog=PROG,
        description="Tune GANs: many trials on one machine or a cluster.",
    )
    if isinstance(command, Sweep):
        _refuse_what_has_no_effect(command.sweep, args)
    return command


def _refuse_what_has_no_effect(config: SweepConfig, args: Sequence[str]) -> None:
    """Raise `ConfigError` for flags of a new sweep that would be ignored in silence."""
    given = {name: _last_value(name, args) for name in ("--trials", "--search")}
    require(
        not (given["--trials"] or "").startswith("+"),
        f"--trials {given['--trials']} adds trials to a sweep that exists; for a new one give their number: "
        f"--trials {config.trials}",
    )
    require(
        config.scheduler != "pbt" or given["--search"] in (None, "random"),
        f"--search {given['--search']} has no effect with --scheduler pbt, whose population is proposed at "
        "random; leave it out, or try --scheduler asha",
    )


def _last_value(flag: str, args: Sequence[str]) -> str | None:
    """The text that a command line gives to a flag, None without the flag."""
    reader = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    reader.add_argument(flag, nargs="?", dest="value")
    value: str | None = reader.parse_known_args(args)[0].value
    return value


def _base_config(args: Sequence[str]) -> GanConfig:
    reader = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    reader.add_argument("--config", nargs="?")  # a missing value is reported with the other flags' errors
    known, _ = reader.parse_known_args(with_home(args))
    return read_config(known.config, "--config") if known.config else GanConfig()
