"""What is looked at while a sweep runs: whether it must end, and whether it may grow."""

import math
import time
from collections.abc import Callable

from common.cluster.session import cluster_nodes
from tune.driver.plan import SweepPlan
from tune.search.searcher import OptunaSearcher
from tune.worker_groups import capacity
from tune.worker_groups.launcher import Gangs

SECONDS_BETWEEN_LOOKS = 5.0  # at the machines of a cluster


class SweepError(Exception):
    """The sweep cannot go on; the message is one line with the reason."""


class TimeBudgetReached(BaseException):
    """Ends Tune's loop from a callback; no Exception, so that Tune does not take it for a failure."""


class Watch:
    """Ends Tune's loop by what it raises when the sweep must stop."""

    def __init__(
        self, searcher: OptunaSearcher, gangs: Gangs, budget_s: float | None, check: Callable[[], None]
    ) -> None:
        self._searcher, self._gangs, self._raise_if_interrupted = searcher, gangs, check
        self._budget_s = math.inf if budget_s is None else budget_s
        self._began: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the time counts."""
        return self._began is not None

    def begin(self) -> None:
        """The first trial trains: from now on the time counts."""
        self._began = time.monotonic()

    def check(self) -> None:
        """Raise when someone wants to stop, no gang is left or the time is up."""
        try:
            self._raise_if_interrupted()
            reason = self._gangs.why_all_are_lost()
            if reason is not None:
                raise SweepError(f"no worker is left: {reason}")
            if self._began is not None and time.monotonic() - self._began > self._budget_s:
                raise TimeBudgetReached
        except BaseException:
            self._searcher.interrupted = True  # trials that end from here on are not over
            raise


class Growth:
    """Lets a sweep on a cluster take what machines join it; those that leave take their gangs with them."""

    def __init__(self, plan: SweepPlan, gangs: Gangs) -> None:
        self._plan, self._gangs = plan, gangs
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS

    def follow(self) -> None:
        """Start gangs where there is room for more, looking now and then."""
        config, capacity_then = self._plan.config, self._plan.cluster_capacity
        if config.address is None or capacity_then is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        self._gangs.grow_to(capacity.gangs_now(config, capacity_then, cluster_nodes()))
