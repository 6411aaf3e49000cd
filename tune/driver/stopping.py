"""Stop conditions of a running sweep, and scaling when nodes join the cluster."""

import math
import time
from collections.abc import Callable

from common.cluster.session import cluster_nodes
from tune.driver.plan import SweepPlan
from tune.search.searcher import OptunaSearcher
from tune.worker_groups import capacity
from tune.worker_groups.launcher import WorkerGroups

SECONDS_BETWEEN_LOOKS = 5.0  # at the nodes of a cluster


class SweepError(Exception):
    """The sweep cannot continue; the message is one line with the reason."""


class TakenOverError(SweepError):
    """Another driver runs the sweep now; this one must write nothing more."""


class TimeBudgetReached(BaseException):
    """Ends Tune's loop from a callback; not an Exception, so that Tune does not treat it as a failure."""


class StopConditions:
    """Ends Tune's loop with an exception when the sweep must stop.

    Args:
        check: raises when the sweep is stopped from outside, such as by a signal.
    """

    def __init__(
        self,
        searcher: OptunaSearcher,
        groups: WorkerGroups,
        budget_s: float | None,
        check: Callable[[], None],
    ) -> None:
        self._searcher, self._groups, self._check_outside = searcher, groups, check
        self._budget_s = math.inf if budget_s is None else budget_s
        self._began: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the time budget is running."""
        return self._began is not None

    def begin(self) -> None:
        """Start the time budget; called when the first trial starts."""
        self._began = time.monotonic()

    def check(self) -> None:
        """Raise when the user wants to stop, no worker group is left, or the time budget is used up."""
        try:
            self._check_outside()
            reason = self._groups.why_all_are_lost()
            if reason is not None:
                raise SweepError(f"no worker is left: {reason}")
            if self._began is not None and time.monotonic() - self._began > self._budget_s:
                raise TimeBudgetReached
        except BaseException:
            self._searcher.interrupted = True  # trials that end from now on are unfinished
            raise


class Scaling:
    """Starts worker groups on nodes that join the cluster; a node that leaves ends its groups by itself."""

    def __init__(self, plan: SweepPlan, groups: WorkerGroups) -> None:
        self._plan, self._groups = plan, groups
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS

    def start_groups_where_nodes_joined(self) -> None:
        """Start worker groups if there is room for more; looks every few seconds."""
        config, capacity_then = self._plan.config, self._plan.cluster_capacity
        if config.address is None or capacity_then is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        self._groups.grow_to(capacity.groups_now(config, capacity_then, cluster_nodes()))
