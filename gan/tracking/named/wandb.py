"""Runs in Weights & Biases; WANDB_MODE, WANDB_PROJECT and its other variables hold; needs an extra."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from common.errors import require
from common.storage.folder import Folder
from gan.tracking.named import BEST, FAILURES, RunInfo, RunState, Tracker

if TYPE_CHECKING:
    import numpy as np

    from gan.training.health import Verdict

PROJECT = "artsweep"
_STEP = "images_seen"


class _Run:
    """One run of wandb; many are open at once in this process."""

    def __init__(self, info: RunInfo) -> None:
        wandb = _wandb()
        settings = wandb.Settings(
            silent=True,  # its lines would cut through the live table
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,  # of this process, not of the workers
        )
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            group=info.sweep,
            name=info.name,
            id=info.identity,
            resume="allow",
            reinit="create_new",
            dir=os.environ.get("WANDB_DIR") or info.folder.location,
            config=dict(info.settings),
            settings=settings,
        )
        # wandb's own step cannot go back, and a trial that lost its workers does
        self._run.define_metric("*", step_metric=_STEP)

    def tick(
        self,
        images_seen: int,
        row: Mapping[str, float],
        *,
        grid: "np.ndarray | None",
        verdict: "Verdict | None",
    ) -> None:
        shown: dict[str, Any] = {**row, _STEP: images_seen}
        if verdict is not None:
            shown |= {"verdict": verdict.name, "verdict_evidence": verdict.evidence}
        if grid is not None:
            image = grid[:, :, 0] if grid.shape[2] == 1 else grid
            shown["samples"] = _wandb().Image(image)
        self._run.log(shown)

    def end(self, state: RunState, reason: str, best: float | None) -> None:
        known = {} if best is None else {BEST: best}
        self._run.summary.update({**known, "state": state, "reason": reason})
        self._run.finish(exit_code=1 if state in FAILURES else 0)


def _wandb() -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb


def _check(folder: Folder) -> None:
    require(
        folder.is_local or "WANDB_DIR" in os.environ,
        f"--wandb keeps what it has not sent yet on a disk, not in {folder.location}; name a folder with "
        "WANDB_DIR=/path, or leave it out",
    )
    wandb = _wandb()
    mode = wandb.setup().settings.mode
    require(
        mode not in ("online", "shared") or wandb.login(prompt=False),
        "--wandb has no login; run wandb login, or track without a server with WANDB_MODE=offline",
    )


TRACKER = Tracker(begin=_Run, check=_check, package="wandb", extra="wandb")
