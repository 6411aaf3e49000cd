"""Learning rates over a run, as pure functions of progress and of the objective's history."""

import dataclasses
import math

from gan.config import OptimizerConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plateau:
    """What the plateau schedule remembers between ticks, as in PyTorch's ReduceLROnPlateau."""

    best: float | None = None
    """Best objective so far; None before the first."""
    ticks_since_best: int = 0
    """Ticks since the best or since the last drop."""
    drops: int = 0


def after_tick(plateau: Plateau, objective: float, *, patience: int) -> Plateau:
    """The memory after a tick's objective, of which lower is better; `patience` ticks without a new best are
    a drop."""
    if plateau.best is None or objective < plateau.best:
        return dataclasses.replace(plateau, best=objective, ticks_since_best=0)
    waited = plateau.ticks_since_best + 1
    if waited >= patience:
        return dataclasses.replace(plateau, ticks_since_best=0, drops=plateau.drops + 1)
    return dataclasses.replace(plateau, ticks_since_best=waited)


def learning_rate_factor(config: OptimizerConfig, *, progress: float, drops: int = 0) -> float:
    """Factor of both base rates, 0 to 1.

    progress: share of the run's images already shown, 0 to 1 (more counts as 1); drops: those of the plateau
    schedule so far. Cosine: Loshchilov and Hutter 2017, equation 5 without restarts.
    """
    progress = min(max(progress, 0.0), 1.0)
    if config.schedule == "linear":
        return 1.0 if progress <= config.decay_at else (1 - progress) / (1 - config.decay_at)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "step":
        return 1.0 if progress < config.decay_at else config.drop
    if config.schedule == "plateau":
        return float(config.drop**drops)
    return 1.0
