"""The commands of `python -m gan` and their flags.

Quick to import, so that a wrong flag is reported before torch and Ray are loaded.
"""

import argparse
from collections.abc import Sequence
from typing import Annotated

import tyro

from common.cli.parsing import parse, with_home
from common.errors import require
from common.storage.folder import Folder, parse_json
from gan.cli.flags.evaluation import Evaluate, Gallery, Report
from gan.cli.flags.sampling import Export, Sample
from gan.cli.flags.training import Describe, Train
from gan.config import GanConfig
from gan.config_file import CONFIG_FILE, DETAILS, read_config
from gan.generator_file import SWEEPS_BEST
from gan.tracking.config import TrackingConfig

__all__ = [
    "Describe",
    "Evaluate",
    "Export",
    "Gallery",
    "GanCommand",
    "Report",
    "Sample",
    "Train",
    "parse_command",
]

PROG = "python -m gan"

GanCommand = Train | Describe | Sample | Export | Evaluate | Report | Gallery


def parse_command(args: Sequence[str], config: GanConfig | None = None) -> GanCommand:
    """The command on a command line; `--help` prints and raises SystemExit(0).

    config: settings of a run that flags override; default: those of --resume's run or of --config's file.

    Raises: ConfigError, one line, for a wrong command line.
    """
    settings, directory = config or _base_config(args), _described(args)
    base = Train(gan=settings, tracking=_base_tracking(args))
    train = tyro.conf.subcommand("train", default=base, description="Train one GAN with Ray Train.")
    looked_at = Describe(gan=_config_in(directory) if directory else settings)
    describe = tyro.conf.subcommand(
        "describe", default=looked_at, description="Show both networks and the memory that training takes."
    )
    sample = tyro.conf.subcommand("sample", description="Sample images from a trained generator.")
    export = tyro.conf.subcommand("export", description="Write a generator for other programs.")
    evaluate = tyro.conf.subcommand("evaluate", description="Measure a trained generator.")
    report = tyro.conf.subcommand("report", description="Write a run's page anew.")
    gallery = tyro.conf.subcommand("gallery", description="Show what a trained generator makes.")
    command: GanCommand = parse(
        Annotated[Train, train]
        | Annotated[Describe, describe]
        | Annotated[Sample, sample]
        | Annotated[Export, export]
        | Annotated[Evaluate, evaluate]
        | Annotated[Report, report]
        | Annotated[Gallery, gallery],
        args,
        prog=PROG,
        description="Train one GAN, sample images from it, measure it, look at it.",
    )
    if isinstance(command, Describe):
        require(
            command.directory in (None, directory),
            f"{command.directory} must come first, before any flag: {PROG} describe {command.directory} ...",
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


def _described(args: Sequence[str]) -> str | None:
    """The folder whose settings `describe` starts from: the word after it, unless that is a flag."""
    following = with_home(args)[1:2] if args[:1] == ["describe"] else []
    return next((word for word in following if not word.startswith("-")), None)


def _config_in(directory: str) -> GanConfig:
    """The settings of a run, or of a sweep's best trial."""
    folder, best = Folder(directory, flag="DIR"), f"{SWEEPS_BEST}/{CONFIG_FILE}"
    name = best if folder.read(CONFIG_FILE) is None and folder.read(best) is not None else CONFIG_FILE
    return read_config(folder.path(name), "DIR")


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
