"""Estimates how long a sweep still trains, also before its first trial has ended; pure."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tune.config import SweepConfig
from tune.records.trial_records import BASELINE_NUMBER, Trial

SIMULATED = 64
"""Simulated rests of the sweep, whose mean is the estimate."""
KNOWN_AFTER = 3
"""Ended trials from which it is known how early trials end where the settings do not tell."""
_RUNG_WEIGHT = 6.0  # how many ended trials the rule of a rung counts as
# at the end the best states and the base settings' are measured again, mostly by two networks
_STATES, _NETWORKS = 6, 2
_PACE_SPREAD = 0.5  # how much longer than a tick of one trial those of others take, at most
_TICK_WEIGHT = 2.0  # as many trials count as not having ended at any other tick

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long the trials of a sweep train, as far as its settings tell."""

    num_trials: int
    images_per_tick: int
    total_ticks: int
    rungs: tuple[int, ...] = ()
    """Ticks after which one of `reduction` trials continues, the best ones."""
    reduction: int = 3
    may_end_early: bool = False
    """Whether trials may end early by something else, of which the settings do not tell how often."""
    budget_s: float | None = None
    final_measures: float = 0.0
    """How long the best states are measured again at the end, in times that a tick is measured."""

    @classmethod
    def of(cls, config: SweepConfig) -> Self:
        """The schedule of a sweep with these settings."""
        gan, rungs = config.gan, list[int]()
        again = gan.evaluation.for_confirmation().metric_images
        rung = config.grace_ticks
        while config.scheduler == "asha" and rung < gan.total_ticks():
            rungs.append(rung)
            rung *= config.reduction
        stops = config.scheduler != "pbt" and bool(gan.stopping.words())
        return cls(
            num_trials=config.trials,
            images_per_tick=gan.images_per_tick,
            total_ticks=gan.total_ticks(),
            rungs=tuple(rungs),
            reduction=config.reduction,
            may_end_early=config.scheduler == "median" or (config.scheduler == "none" and stops),
            budget_s=config.time_budget_s(),
            final_measures=_NETWORKS * again / gan.evaluation.metric_images * min(_STATES, config.trials),
        )

    def ticks(self, trial: Trial) -> int:
        """Whole ticks that a trial has trained."""
        return min(trial.images_seen // self.images_per_tick, self.total_ticks)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Seconds until a sweep has trained and measured all; `is_bound`: at most."""

    seconds: float
    is_bound: bool = False

    def __str__(self) -> str:
        return f"{'at most' if self.is_bound else 'about'} {_rounded(self.seconds)} left"


def estimate(
    schedule: Schedule, trials: Mapping[int, Trial], *, session_started: float, now: float
) -> Estimate | None:
    """When the running sweep ends; None before the first tick of its session, and where nothing is left.

    A tick takes as long as the ticks of this session took, measuring and saving included. How many ticks
    are left is simulated: a rung lets through what its rule lets through of values in random order, and
    where trials have ended, also in earlier sessions, they count more and more. Where nothing tells how
    early trials end, all of them train to their end, and the estimate is a bound.

    session_started, now: seconds since 1970.
    """
    begun = {number: trial for number, trial in trials.items() if trial.attempt_started >= session_started}
    running = {number: trial for number, trial in begun.items() if trial.state == "running"}
    paces = {number: _pace(trial) for number, trial in begun.items()}
    if not running or not any(paces.values()):
        return None
    ended = sum(not trial.is_unfinished() for trial in trials.values())
    is_bound = schedule.may_end_early and ended < KNOWN_AFTER
    lengths = _Lengths(schedule, {} if is_bound else trials)
    seconds = _training_s(schedule, lengths, trials, running, paces, now)
    if is_bound:  # trials to come may be slower than the few that are known
        seconds *= 1 + _PACE_SPREAD / math.sqrt(sum(bool(pace) for pace in paces.values()))
    if schedule.budget_s is not None:
        began = min(trial.attempt_started for trial in begun.values())
        budget_left = max(0.0, schedule.budget_s - (now - began))
        seconds, is_bound = min(seconds, budget_left), is_bound or budget_left < seconds
    measured = [
        tick.metrics.get("evaluate_s") or 0.0 for trial in running.values() for _, tick in trial.ticks
    ]
    final_s = schedule.final_measures * float(np.mean(measured or [0.0])) / len(running)
    return Estimate(seconds + final_s, is_bound)


def _training_s(
    schedule: Schedule,
    lengths: "_Lengths",
    trials: Mapping[int, Trial],
    running: Mapping[int, Trial],
    paces: Mapping[int, Sequence[float]],
    now: float,
) -> float:
    """Seconds until all trials have trained, with as many worker groups as trials are running."""
    # a first tick also loads and compiles: where there are later ones, it does not count
    steady = [pace[1:] for pace in paces.values() if len(pace) > 1] or [
        pace for pace in paces.values() if pace
    ]
    # of trials, not of ticks: quick trials have more of them
    tick_s = float(np.mean([np.mean(pace) for pace in steady]))
    free_at: Floats = np.zeros((SIMULATED, len(running)))
    for place, (number, trial) in enumerate(running.items()):
        pace = paces[number]
        own_s = float(np.mean(pace[1:])) if len(pace) > 2 else tick_s
        left = lengths.drawn(number, schedule.ticks(trial)) * own_s
        in_tick_s = now - (trial.ticks[-1][1].time if pace else trial.attempt_started)
        free_at[:, place] = np.maximum(left - min(max(in_tick_s, 0.0), own_s), 0.0)
    waiting = [
        (number, schedule.ticks(trial))
        for number, trial in trials.items()
        if trial.is_unfinished() and number not in running
    ]
    waiting += [(number, 0) for number in range(len(trials), schedule.num_trials)]
    every = np.arange(SIMULATED)
    for number, ticks in waiting:  # each in the worker group that is free first
        free_at[every, free_at.argmin(axis=1)] += lengths.drawn(number, ticks) * tick_s
    return float(free_at.max(axis=1).mean())


class _Lengths:
    """Draws how many ticks trials still train, for each of the simulated rests."""

    def __init__(self, schedule: Schedule, trials: Mapping[int, Trial]) -> None:
        self._schedule = schedule
        searched = [trial for trial in trials.values() if trial.number != BASELINE_NUMBER]
        early = [trial for trial in searched if trial.state in ("pruned", "failed")]
        self._ends = _counted([schedule.ticks(trial) for trial in early], schedule.total_ticks)
        reached = _counted([schedule.ticks(trial) for trial in searched], schedule.total_ticks)
        self._reached = reached[::-1].cumsum()[::-1]  # trials that have come to each tick
        recorded = {
            rung: sum(schedule.ticks(trial) >= rung for trial in trials.values()) for rung in schedule.rungs
        }
        self._arrived = {rung: np.full(SIMULATED, float(count)) for rung, count in recorded.items()}
        self._ticks = sorted({*schedule.rungs, *(int(tick) for tick in self._ends.nonzero()[0])})

    def drawn(self, number: int, ticks: int) -> NDArray[np.int64]:
        """(SIMULATED,): ticks that the trial still trains, which has trained `ticks` so far."""
        schedule = self._schedule
        end = np.full(SIMULATED, schedule.total_ticks)
        if number == BASELINE_NUMBER:
            return end - ticks
        # the same numbers at every call: the estimate changes by what has happened alone
        luck = np.random.default_rng(number)
        for tick in self._ticks:
            draw = luck.random(SIMULATED)
            if tick < ticks or (tick == ticks and ticks > 0) or tick >= schedule.total_ticks:
                continue
            is_there = end > tick
            end = np.where(is_there & (draw < self._chance_to_end(tick)), tick, end)
            if tick in self._arrived:
                self._arrived[tick] += is_there
        left: NDArray[np.int64] = np.maximum(end - ticks, 0)
        return left

    def _chance_to_end(self, tick: int) -> Floats | float:
        """Of a trial that comes to a tick; a rung's rule counts as some trials that have ended so."""
        ended, reached = float(self._ends[tick]), float(self._reached[tick])
        if tick not in self._arrived:
            return ended / (reached + _TICK_WEIGHT)
        by_rule = 1.0 - let_through(self._arrived[tick], self._schedule.reduction)
        return (ended + _RUNG_WEIGHT * by_rule) / (reached + _RUNG_WEIGHT)


def let_through(recorded: Floats, reduction: int) -> Floats:
    """Chance that a rung lets a trial through with as many values recorded, all in random order.

    `SuccessiveHalving` compares with an interpolated percentile: the first trial always passes, of the second
    ones half, and later ones more and more rarely, down to one of `reduction`.
    """
    share = 1.0 / reduction
    chance: Floats = np.where(recorded < 1, 1.0, (recorded * share + 1.0 - share) / (recorded + 1.0))
    return chance


def _pace(trial: Trial) -> Sequence[float]:
    """Seconds that each tick of its last attempt took."""
    ticks = [tick for attempt, tick in trial.ticks if attempt == trial.attempt]
    times = [trial.attempt_started, *(tick.time for tick in ticks)]
    pace = [max(0.0, later - earlier) for earlier, later in itertools.pairwise(times)]
    if ticks:  # the first one waited for its actor, and perhaps for other workers
        reported = sum(ticks[0].metrics.get(name) or 0.0 for name in ("train_s", "evaluate_s"))
        pace[0] = min(pace[0], reported or pace[0])
    return pace


def _counted(values: Sequence[int], top: int) -> Floats:
    return np.bincount(values, minlength=top + 1).astype(np.float64) if values else np.zeros(top + 1)


def _rounded(seconds: float) -> str:
    """A time no more exact than an estimate is: `40 s`, `12 min`, `2 h 10 min`, `3 d 4 h`."""
    if seconds < 90:
        return f"{max(10, math.ceil(seconds / 10) * 10)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(round(minutes / 10) * 10, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"
