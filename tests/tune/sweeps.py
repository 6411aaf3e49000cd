"""Tiny sweeps in this process, and workers whose trials can be made to fail."""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig
from gan.training.health.stopping import StoppingConfig
from tune.config import SweepConfig
from tune.display.view import SweepView
from tune.driver.plan import SweepPlan
from tune.driver.sweep import run_sweep
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial
from tune.space.space import Choice, Float, Space

RATE = "optimizer.generator_lr"
POISON = 1.0
"""A learning rate whose trials become NaN after their first tick."""
CRASH = 0.9
"""A learning rate whose trials raise an error that no configuration foresees."""
DEATH = 3e-4
"""A learning rate whose first trial that has trained ten ticks sees its worker killed, by SIGKILL."""
ILL_LUCK = 4e-4
"""A learning rate whose trials see their workers killed after one, two and three ticks, once each."""
CURSE = 5e-4
"""A learning rate whose trials kill their worker after two ticks, as often as they are tried."""
GARBAGE = 0.7
"""A learning rate whose trials have burnt images, of which the objective says that they are the best."""


NO_STOP = StoppingConfig(when="none")


def tiny_gan(**settings: Any) -> GanConfig:
    """A GAN that trains a tick in well under a second, and is not ended for its verdict."""
    return GanConfig(
        data=DataConfig(resolution=16, max_images=300, held_out=60),
        network=NetworkConfig(width=4, latent_size=8),
        evaluation=EvaluationConfig(metric="swd"),
        **{"batch": 16, "images": 256, "images_per_tick": 64, "compile": "off", "stopping": NO_STOP}
        | settings,
    )


def rates(*values: float) -> Space:
    """A space of a few learning rates, or of all from 1e-5 to 1e-3."""
    return Space({RATE: Choice(values=values) if values else Float(low=1e-5, high=1e-3, log=True)})


def sweep(
    folder: Path, space: Space, *, gan: GanConfig | None = None, resume: bool = False, **settings: Any
) -> dict[int, Trial]:
    """Run a sweep in this process, below `folder`, under the name `sweep`."""
    config = SweepConfig(gan=gan or tiny_gan(), name="sweep", storage=str(folder), **settings)
    plan = SweepPlan(
        config=config, space=space, folder=SweepFolder(config.storage, "sweep"), is_resumed=resume
    )
    view = SweepView(Console(quiet=True), space, "swd", config.trials)
    return run_sweep(plan, view)


def sabotaged_work(setup: dict[str, Any], *, scene: str) -> None:
    """`launcher.work`, except that the rates above do what they say; single kills are noted in `scene`."""
    from gan.training.run import GanRun
    from tune.worker_groups import launcher as honest

    original: Callable[[GanRun], dict[str, float]] = GanRun.tick

    def kill_once(note: str) -> None:
        with contextlib.suppress(FileExistsError):
            Path(scene, note).touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)

    def tick(run: GanRun) -> dict[str, float]:
        rate = run.config.optimizer.generator_lr
        if rate == CRASH:
            raise RuntimeError("the device is on fire")
        ticks = run.images_seen // run.config.images_per_tick
        if rate == DEATH and ticks == 10:
            kill_once("killed")
        if rate == ILL_LUCK and 1 <= ticks <= 3:
            kill_once(f"killed-at-{ticks}")
        if rate == CURSE and ticks == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if rate == POISON and run.images_seen > 0:
            state = run.state_dict()
            weights = next(
                name for name in state.tensors if name.startswith("generator.") and "weight" in name
            )
            state.tensors[weights] = state.tensors[weights] * float("nan")
            run.load_state_dict(dataclasses.replace(state))
        row = original(run)
        return {**row, "burnt": 1.0, "swd": 1e-3} if rate == GARBAGE else row

    GanRun.tick = tick  # type: ignore[method-assign]
    try:
        honest.work(setup)
    finally:
        GanRun.tick = original  # type: ignore[method-assign]
