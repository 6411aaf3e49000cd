"""Flags of the commands of `python -m tune` that look at sweeps and change nothing."""

import dataclasses
import itertools
import os
import re
from collections.abc import Sequence
from typing import Annotated, Literal

import tyro

from common.errors import require, require_between

WATCH_SECONDS = 5

Directory = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
Directories = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DIR [DIR ...]")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Write a page about a sweep, or about several side by side: one HTML file, which needs no network."""

    directories: Directories
    """Folders of sweeps, paths or URLs; they may still run."""
    out: str | None = None
    """File to write; default: report.html in the sweep's folder, of several sweeps comparison.html in the
    first one's."""

    def __post_init__(self) -> None:
        require(bool(self.directories), "report needs the folder of a sweep; try report runs/shapes-DATE")
        _check_different("report", self.directories)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compare:
    """Compare sweeps on an equal budget, with bootstrap intervals over trials."""

    directories: Directories
    """Folders of at least two sweeps, paths or URLs; they may still run."""
    budget: Literal["images", "cost", "trials"] = "images"
    """What they are cut to alike: images trained, worker-seconds of training and measuring, or trials."""

    def __post_init__(self) -> None:
        require(
            len(self.directories) >= 2,
            f"compare needs the folders of two sweeps or more, not {len(self.directories)}; for a single one "
            "try report DIR",
        )
        _check_different("compare", self.directories)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dashboard:
    """Show a sweep's study in the browser with optuna-dashboard, while it runs or later, until Ctrl-C.

    It reads the sweep's files and changes nothing: a running sweep goes on as without it.
    """

    directory: Directory
    """Folder of the sweep, a path or a URL."""
    port: int = 8080
    """Port to listen on; 0: any that is free."""
    host: str = "127.0.0.1"
    """Address to listen on: this machine alone; 0.0.0.0: everyone who can reach it, without a password."""
    study: str | None = None
    """Storage URL of the Optuna study, if its database has moved."""

    def __post_init__(self) -> None:
        require(0 <= self.port <= 65535, f"--port must lie between 0 and 65535, not {self.port}; try 8080")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """Show how a sweep stands, from its folder alone: its trials, when it ends, and whether its driver runs.

    Works from another terminal or machine, while the sweep runs and later; changes nothing.
    """

    directory: Directory
    """Folder of the sweep, a path or a URL."""
    watch: Annotated[float | None, tyro.conf.arg(metavar="[SECONDS]")] = None
    """Show it again after so many seconds (5 without a number), until the sweep no longer runs."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object a line instead; docs/clusters.md explains its keys."""

    def __post_init__(self) -> None:
        if self.watch is not None:
            require_between("--watch", self.watch, 0.5, 86400)


def _check_different(command: str, directories: Sequence[str]) -> None:
    """Raise `ConfigError` where one sweep is named twice."""
    seen: dict[str, str] = {}
    for directory in directories:
        place = directory.rstrip("/") if "://" in directory else os.path.realpath(directory)
        require(
            place not in seen,
            f"{command} was given the same sweep twice, as {seen.get(place)} and {directory}; leave one out",
        )
        seen[place] = directory


def with_watch_seconds(args: Sequence[str]) -> list[str]:
    """The words with a number after each `--watch` that has none."""
    words = []
    for word, following in itertools.pairwise([*args, ""]):
        words.append(word)
        if word == "--watch" and re.fullmatch(r"-?\d+(\.\d*)?", following) is None:
            words.append(str(WATCH_SECONDS))
    return words
