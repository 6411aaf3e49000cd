"""What `python -m tune status` says of a sweep: how its driver is, what to do, and one JSON object."""

import math
import shlex
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from common.cli.parsing import address_flag
from common.text import counted, duration
from tune.config import SweepConfig
from tune.display.estimate import Estimate, Schedule, estimate
from tune.display.summary import images_of, noise_floor, share_measuring, summary
from tune.records.standing import Standing, objective_name
from tune.records.trial_records import Trial, best_of, states_best_first

_COMMAND = "python -m tune"


class Status:
    """A sweep at one moment, as its folder shows it; now: seconds since 1970."""

    def __init__(
        self,
        location: str,
        config: SweepConfig,
        trials: Mapping[int, Trial],
        standing: Standing,
        *,
        now: float | None = None,
    ) -> None:
        self.location, self.config, self.trials, self.standing = location, config, trials, standing
        self.metric = objective_name(config.gan.evaluation, trials)
        self._now = time.time() if now is None else now

    def left(self) -> Estimate | None:
        """How long it still trains; None where that is not known, and when it does not run."""
        started = self.standing.session_started
        if self.standing.state != "running" or started is None:
            return None
        return estimate(Schedule.of(self.config), self.trials, session_started=started, now=self._now)

    def headline(self) -> str:
        """Whether a driver runs it, and since when not."""
        standing = self.standing
        holder, state = standing.lock.holder, standing.state
        if state == "running":
            what = f"running: {holder}"
            if standing.num_finished >= standing.num_trials:
                what += "; all trials have ended, the best states are measured again"
        elif state == "finished":
            what = "finished"
        elif state == "died":
            what = f"its driver has died: {holder}" if holder else "its driver has died"
        elif state == "unknown":
            what = f"it cannot be seen from here whether its driver still runs: {holder}"
        else:
            what = "stopped before its end"
        return f"{self.location}: {what}; {self._age()}"

    def summary(self) -> str:
        """The line below the table."""
        return summary(
            self.trials,
            self.metric,
            self.standing.num_trials,
            seconds=self._seconds(),
            images=images_of(self.trials) - self.standing.images_before,
            left=self.left(),
        )

    def next_commands(self) -> dict[str, str]:
        """Commands that make sense now, by what they do."""
        where, state = shlex.quote(self.location), self.standing.state
        commands = {}
        if state == "running":
            commands["watch it"] = f"{_COMMAND} status {where} --watch"
        elif state == "finished":
            commands["add trials"] = f"{_COMMAND} resume {where} --trials {self.config.more_trials()}"
        else:
            commands["continue it"] = f"{_COMMAND} resume {where}{address_flag(self.config.address)}"
        if self.standing.has_state:
            commands["export the best settings"] = f"{_COMMAND} best {where}"
        if any(trial.ticks for trial in self.trials.values()):
            commands["look at it"] = f"{_COMMAND} report {where}"
        return commands

    def as_json(self) -> dict[str, Any]:
        """The same for scripts; docs/clusters.md explains the keys."""
        standing, left, best = self.standing, self.left(), self._best()
        holder = standing.lock.holder
        return {
            "location": self.location,
            "state": standing.state,
            "driver": {"host": holder.host, "pid": holder.pid, "since": holder.since} if holder else None,
            "trials": standing.num_trials,
            "trials_by_state": dict(sorted(Counter(each.state for each in self.trials.values()).items())),
            "sessions": standing.sessions,
            "session_started": _iso(standing.session_started),
            "last_event": _iso(standing.last_event),
            "session_seconds": round(self._seconds(), 3),
            "images_seen": images_of(self.trials),
            "seconds_left": round(left.seconds, 1) if left else None,
            "seconds_left_is_bound": left.is_bound if left else None,
            "share_measuring": share_measuring(self.trials),
            "metric": self.metric,
            "noise_floor": noise_floor(self.trials, self.metric),
            "best": best,
            "failures": {
                str(number): trial.reason for number, trial in self.trials.items() if trial.state == "failed"
            },
            "next": list(self.next_commands().values()),
        }

    def _best(self) -> dict[str, Any] | None:
        """The winner: of the states measured again, if there are any, else of all ticks."""
        for trial, state in states_best_first(self.trials)[:1]:
            again = trial.confirmed.get(state.path)
            confirmed = {"metric": again.metric, "value": again.value} if again else None
            found = {"trial": trial.number, "images_seen": state.images_seen, "value": state.value}
            return {**found, "confirmed": confirmed}
        ticks = [(trial, tick) for trial in self.trials.values() for tick in trial.valid_ticks()]
        first = best_of((tick.counted(self.metric), (trial, tick)) for trial, tick in ticks)
        if first is None:
            return None
        trial, tick = first
        value = tick.metrics[self.metric]
        return {
            "trial": trial.number,
            "images_seen": tick.images_seen,
            "value": value if math.isfinite(value) else None,
            "confirmed": None,
        }

    def _seconds(self) -> float:
        """How long the last session has trained, up to its last tick if it does not run."""
        standing = self.standing
        end = self._now if standing.state == "running" else standing.trained_until
        if standing.trained_since is None or end is None:
            return 0.0
        return max(0.0, end - standing.trained_since)

    def _age(self) -> str:
        last = self.standing.last_event
        if last is None:
            return "no event yet"
        ago = f"last event {duration(max(0.0, self._now - last))} ago"
        sessions = self.standing.sessions
        return ago if sessions <= 1 else f"{ago}, resumed {counted(sessions - 1, 'time')}"


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
