"""Sweeps of random trials on a simulated clock, stopped by the project's own rules."""

import dataclasses
import heapq
import math

import numpy as np

from tests.tune.sweeps import RATE, tiny_gan
from tune.config import SweepConfig
from tune.records.events import SweepEvent, Tick, TrialEnded, TrialStarted
from tune.records.trial_records import BASELINE_NUMBER, EndState
from tune.search.early_stopping import EarlyStoppingRule, MedianRule, SuccessiveHalving

START = 1_000_000.0
"""Time at which a simulated sweep begins, in seconds since 1970."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulation:
    """A sweep of random trials: each has a curve that falls to a level of its own, with noise."""

    scheduler: str = "asha"
    trials: int = 40
    ticks: int = 30
    groups: int = 4
    first_tick_s: float = 0.0
    """How much longer the first tick of a group takes, for loading and compiling."""
    own_pace: float = 0.3
    """Spread of the seconds that a tick of different trials takes, as a share."""
    improvement: float = 0.5
    """How much better the last proposals are than the first: a search learns."""
    share_that_decays: float = 0.1
    """Trials that are ended early for their verdict."""

    def config(self) -> SweepConfig:
        """Its settings: a tick is 64 images."""
        return SweepConfig(
            gan=tiny_gan(images=64 * self.ticks, images_per_tick=64),
            scheduler=self.scheduler,  # type: ignore[arg-type]
            trials=self.trials,
        )

    def events(self, seed: int) -> list[SweepEvent]:
        """Its whole event log; trials take turns in the groups as in a sweep."""
        random, config, rule = np.random.default_rng(seed), self.config(), self._rule()
        level = np.exp(random.normal(3, 0.5, self.trials)) * np.linspace(1, 1 - self.improvement, self.trials)
        speed = random.uniform(2, 10, self.trials)
        tick_s = 10 * np.exp(random.normal(0, self.own_pace, self.trials))
        decays = random.random(self.trials) < self.share_that_decays
        decays_at = np.where(decays, random.integers(3, 15, self.trials), self.ticks)
        events = list[SweepEvent]()
        waiting = iter(range(self.trials))
        first = [next(waiting) for _ in range(min(self.groups, self.trials))]
        queue = [(START + self.first_tick_s + tick_s[number], number, 1) for number in first]
        events += [
            TrialStarted(number=number, trial_id=f"t{number}", values={RATE: 1e-4}, time=START)
            for number in first
        ]
        heapq.heapify(queue)
        while queue:
            time, number, done = heapq.heappop(queue)
            fall = math.exp(-done / speed[number])
            value = float((level[number] + 300 * fall) * np.exp(random.normal(0, 0.05)))
            events.append(
                Tick(
                    number=number,
                    trial_id=f"t{number}",
                    images_seen=64 * done,
                    metrics={config.gan.evaluation.key(): value},
                    time=time,
                )
            )
            stops = rule is not None and rule.stops(number, done, value) and number != BASELINE_NUMBER
            is_decayed = done == decays_at[number] and number != BASELINE_NUMBER
            if done < self.ticks and not stops and not is_decayed:
                heapq.heappush(queue, (time + tick_s[number], number, done + 1))
                continue
            state: EndState = "completed" if done == self.ticks else "pruned"
            events.append(
                TrialEnded(number=number, state=state, verdict="decayed" if is_decayed else None, time=time)
            )
            following = next(waiting, None)
            if following is not None:
                events.append(
                    TrialStarted(number=following, trial_id=f"t{following}", values={RATE: 1e-4}, time=time)
                )
                heapq.heappush(queue, (time + tick_s[following], following, 1))
        return events

    def _rule(self) -> EarlyStoppingRule | None:
        config = self.config()
        if self.scheduler == "asha":
            return SuccessiveHalving(first=config.grace_ticks, end=self.ticks, reduction=config.reduction)
        return MedianRule(grace=config.grace_ticks) if self.scheduler == "median" else None
