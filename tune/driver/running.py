"""The parts of a running sweep, and what they do between the steps of Tune's loop."""

import dataclasses

from tune.display.view import SweepView
from tune.driver.artifacts import ArtifactStore
from tune.driver.plan import SweepPlan
from tune.driver.stopping import Scaling, StopConditions
from tune.driver.tracking import SweepTracking
from tune.records.events import EventLog
from tune.records.trial_records import Trial
from tune.search.searcher import OptunaSearcher


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningSweep:
    """A sweep while Tune runs it; `trials` is what its event log says so far, by number."""

    plan: SweepPlan
    log: EventLog
    trials: dict[int, Trial]
    searcher: OptunaSearcher
    artifacts: ArtifactStore
    stop_conditions: StopConditions
    scaling: Scaling
    view: SweepView
    tracking: SweepTracking

    def between_steps(self) -> None:
        """Check the stop conditions, scale, and update files and terminal; several times a second.

        Raises: what ends the sweep, from `StopConditions.check`.
        """
        running = (trial for trial in self.trials.values() if trial.state == "running")
        if not self.stop_conditions.has_begun and any(trial.trial_id for trial in running):
            self.stop_conditions.begin()
        self.stop_conditions.check()
        self.scaling.start_groups_where_nodes_joined()
        self.artifacts.tidy()
        self.view.refresh(self.trials)
