"""Flags of `python -m tune report` and `python -m tune compare`."""

import dataclasses
from typing import Annotated, Literal

import tyro

from common.errors import require

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
