"""Trackers by name, one module each: where ticks are shown besides a run's own files.

A new tracker is a new module with a constant `TRACKER`; the first line of its docstring is what `--help` says
of its flag. A module imports its program only within its functions, so that `--help` stays quick.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from common.extras import require_package
from common.registry import Registry

if TYPE_CHECKING:
    import numpy as np

    from common.storage.folder import Folder
    from gan.training.health import Verdict

RunState = Literal["completed", "pruned", "stopped", "diverged", "failed", "interrupted"]
"""How a run ends: early stopping of a sweep prunes, a verdict stops, and an interrupted one is resumed."""
FAILURES: tuple[RunState, ...] = ("diverged", "failed")
BEST = "objective/best"
"""Name under which trackers show the best value of an ended run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A run that begins, or goes on after it was stopped or has lost its workers."""

    folder: "Folder"
    """Results of the run, or of its sweep."""
    name: str
    """Its name; `trial_0003` in a sweep."""
    identity: str
    """Text that is its own, and is the same when it goes on: letters, digits, `-` and `_`."""
    sweep: str | None = None
    """Name of its sweep, None for a run of its own."""
    settings: Mapping[str, Any]
    """All its settings by dotted path."""
    searched: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What its sweep searches, by dotted path; None where a setting has no effect in this trial."""
    objective: str
    """Name of what is minimized, as rows have it, such as `objective/fd_lite0_1k`."""
    images_seen: int = 0
    """After how many images it begins or goes on: later ticks that were tracked before are repeated."""


class TrackedRun(Protocol):
    """One run in a tracker. An exception switches the tracker off, and ends no run."""

    def tick(
        self,
        images_seen: int,
        row: Mapping[str, float],
        *,
        grid: "np.ndarray | None",
        verdict: "Verdict | None",
    ) -> None:
        """Show a tick at the step `images_seen`.

        row: finite numbers, named by group, such as `players/generator_loss` (`gan.tracking.groups`).
        grid: samples, uint8 (H, W, C) with C 1 or 3.
        """

    def end(self, state: RunState, reason: str, best: float | None) -> None:
        """Show how the run ended, and its best objective; frees what it holds.

        best: None without one, and where the run had ended before and was told its best then.
        """


def _nothing_to_check(folder: "Folder") -> None:
    pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tracker:
    """How a tracker is told of a run, and what must be there first."""

    begin: Callable[[RunInfo], TrackedRun]
    check: "Callable[[Folder], None]" = _nothing_to_check
    """Raises ConfigError when runs with results in this folder cannot be tracked."""
    package: str | None = None
    """The package that it imports, if it may be missing."""
    extra: str | None = None
    """The extra of this project that installs it."""

    def check_package(self, flag: str) -> None:
        """Raise `ConfigError` when its package is not installed."""
        if self.package is not None:
            require_package(self.package, flag=flag, extra=self.extra)


TRACKERS: Registry[Tracker] = Registry("gan.tracking.named", "TRACKER", what="tracker")
