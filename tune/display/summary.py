"""A sweep in one line: how its trials are, how fast they train, the noise floor, and when it ends."""

from collections import Counter
from collections.abc import Iterable, Mapping

from common.text import counted, duration
from tune.display.estimate import Estimate
from tune.records.trial_records import Trial


def summary(
    trials: Mapping[int, Trial],
    metric: str,
    num_trials: int,
    *,
    seconds: float,
    images: int,
    left: Estimate | None = None,
) -> str:
    """The line; seconds, images: how long this session has lasted, and how many images it has trained."""
    parts = [
        f"{len(trials)} of {counted(num_trials, 'trial')}: {state_counts(trials) or 'none yet'}",
        f"{duration(seconds)}, {images / max(seconds, 1e-9):,.0f} images/s",
    ]
    noise = noise_floor(trials, metric)
    if noise is not None:
        parts.append(f"noise floor of {metric} (real against real) {noise:.3g}")
    measuring = share_measuring(trials)
    if measuring is not None:
        parts.append(f"{measuring:.0%} of the time spent measuring")
    if left is not None:
        parts.append(str(left))
    return "; ".join(parts)


def state_counts(trials: Mapping[int, Trial]) -> str:
    """`2 completed, 1 running`."""
    return counts(Counter[str](trial.state for trial in trials.values()))


def counts(states: Mapping[str, int]) -> str:
    """`2 completed, 1 running`, of numbers by name."""
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def noise_floor(trials: Mapping[int, Trial], metric: str) -> float | None:
    """The metric of real training images; None before the first tick."""
    found = (metrics.get(f"{metric}_noise") for metrics in _ticks(trials))
    return next((noise for noise in found if noise is not None), None)


def share_measuring(trials: Mapping[int, Trial]) -> float | None:
    """Part of the trials' time in which they were measured, 0 to 1; None where it is not known."""
    train_s = evaluate_s = 0.0
    for metrics in _ticks(trials):
        train_s += metrics.get("train_s") or 0.0
        evaluate_s += metrics.get("evaluate_s") or 0.0
    return evaluate_s / (train_s + evaluate_s) if evaluate_s > 0 else None


def images_of(trials: Mapping[int, Trial]) -> int:
    """Images that all trials have seen."""
    return sum(trial.images_seen for trial in trials.values())


def curves(trials: Mapping[int, Trial], metric: str) -> dict[int, list[float | None]]:
    """The objective after each tick, by number of the trial."""
    return {
        number: [tick.metrics.get(metric) for tick in trial.valid_ticks()] for number, trial in trials.items()
    }


def _ticks(trials: Mapping[int, Trial]) -> Iterable[Mapping[str, float]]:
    return (tick.metrics for trial in trials.values() for _, tick in trial.ticks)
