"""RAY: the files of a running sweep: writes log, tables, grids, removes surplus states, exports the best."""

from collections.abc import Mapping, Sequence, Set
from pathlib import PurePosixPath
from typing import Any

from ray.tune.schedulers import TrialScheduler

from common.throttle import Throttle
from tune.driver.confirmation import CANDIDATES
from tune.driver.grids import GridStore
from tune.driver.plan import SweepPlan
from tune.records.events import EventLog
from tune.records.export_best import export_best
from tune.records.tables import history_table, trials_table, write_tables
from tune.records.trial_records import Trial, states_best_first, surplus_checkpoints
from tune.search.pbt import Population
from tune.search.study import SweepStudy
from tune.trial_keys import STATE_FILE

SECONDS_BETWEEN_TABLES = 5.0
_SHARE_OF_TIME = 0.002  # every write rewrites all tables: in a large sweep they are written less often


class ArtifactStore:
    """The files of a running sweep: event log, tables, saved states, grids, and `best/` at its end."""

    def __init__(
        self,
        plan: SweepPlan,
        log: EventLog,
        trials: dict[int, Trial],
        study: SweepStudy,
        scheduler: TrialScheduler,
    ) -> None:
        self._plan, self._log, self._trials, self._study = plan, log, trials, study
        self._scheduler = scheduler
        config = plan.config
        self.grids = GridStore(
            plan.folder.files,
            trials,
            metric=config.gan.evaluation.key(),
            most=config.grid_trials,
            candidates=CANDIDATES,
        )
        self._have_saved = set(trials)
        """Trials that may have saved a state since the last clean-up; at first all of earlier sessions."""
        self._throttle = Throttle(SECONDS_BETWEEN_TABLES, _SHARE_OF_TIME)
        self._are_tables_old = False
        # removed by earlier sessions, except what a killed one has left
        self._removed = set(surplus_checkpoints(trials, set())) - self._present()

    def _present(self) -> set[str]:
        """Paths of all states in the sweep's folder, relative to it."""
        found = (PurePosixPath(file.name) for file in self._plan.folder.files.list_files())
        return {str(path.parent) for path in found if path.name == STATE_FILE}

    def note_saved(self, number: int) -> None:
        """The trial has saved a state, so that an earlier one may be surplus."""
        self._have_saved.add(number)

    def write(self, tune_trials: Sequence[Any] = ()) -> None:
        """Write the log, remove states that no trial will continue from or copy, write tables when due."""
        self._log.flush()  # first: a log in an object store may still name a state that is now surplus
        self._are_tables_old = True
        if isinstance(self._scheduler, Population):
            needed = self._scheduler.needed_checkpoints(tune_trials)
            self._remove_surplus(self._trials, needed=set(map(self._plan.folder.relative, needed)))
        else:
            self._remove_surplus(self._that_have_saved())
        self.grids.write()
        self._write_tables()

    def tidy(self) -> None:
        """Write tables that are due, and on a disk remove surplus states at once."""
        # on a disk the log already names the newer states
        if self._plan.folder.files.is_local and not isinstance(self._scheduler, Population):
            self._remove_surplus(self._that_have_saved())
        self._write_tables()

    def _write_tables(self, *, at_once: bool = False) -> None:
        if not self._are_tables_old or not (at_once or self._throttle.is_due()):
            return
        self._are_tables_old = False
        space, metric = self._plan.space, self._plan.config.gan.evaluation.key()
        with self._throttle.timed():
            table = trials_table(self._trials, space, metric)
            write_tables(self._plan.folder.location, table, history_table(self._trials, space), space)

    def _that_have_saved(self) -> dict[int, Trial]:
        numbers, self._have_saved = self._have_saved, set()
        return {number: self._trials[number] for number in numbers}

    def _remove_surplus(self, trials: Mapping[int, Trial], needed: Set[str] = frozenset()) -> None:
        for path in surplus_checkpoints(trials, needed):
            if path not in self._removed:
                self._plan.folder.files.remove_folder(path)
                self._removed.add(path)

    def close(self, *, is_confirmed: bool = False) -> None:
        """Write everything that is needed to read and to resume the sweep, and export the best state.

        is_confirmed: the best states were measured again, or will not be.
        """
        self._study.flush()
        self.write()
        self._write_tables(at_once=True)
        export_best(self._plan.folder, self._trials)
        states = states_best_first(self._trials) if is_confirmed else []
        self.grids.finish(winner=states[0][0].number if states else None)
