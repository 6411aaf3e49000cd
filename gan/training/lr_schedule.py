"""How the learning rates change over a run, as pure functions of progress and of the objective's history."""

import dataclasses
import math

from gan.config import OptimizerConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stall:
    """What the stall schedule remembers between ticks."""

    best: float | None = None
    """Best objective so far; None before the first."""
    ticks_since_best: int = 0
    """Ticks since the best or since the last drop."""
    drops: int = 0


def after_tick(stall: Stall, objective: float, *, lower_is_better: bool, patience: int) -> Stall:
    """The memory after a tick's objective; `patience` ticks without a better one are a drop."""
    is_better = stall.best is None or (objective < stall.best if lower_is_better else objective > stall.best)
    if is_better:
        return dataclasses.replace(stall, best=objective, ticks_since_best=0)
    waited = stall.ticks_since_best + 1
    if waited >= patience:
        return dataclasses.replace(stall, ticks_since_best=0, drops=stall.drops + 1)
    return dataclasses.replace(stall, ticks_since_best=waited)


def learning_rate_factor(config: OptimizerConfig, *, progress: float, drops: int = 0) -> float:
    """What both base rates are multiplied by, 0 to 1.

    progress: share of the run's images already shown, 0 to 1 (more counts as 1); drops: stalls so far, read
    by the stall schedule alone. Cosine: Loshchilov and Hutter 2017, equation 5 without restarts.
    """
    progress = min(max(progress, 0.0), 1.0)
    if config.schedule == "linear":
        return 1.0 if progress <= config.decay_at else (1 - progress) / (1 - config.decay_at)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "step":
        return 1.0 if progress < config.decay_at else config.drop
    if config.schedule == "stall":
        return float(config.drop**drops)
    return 1.0
