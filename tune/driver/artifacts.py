"""RAY: what a sweep keeps on its disk while it runs and at its end; not what is written into each file."""

from collections.abc import Mapping, Sequence, Set
from pathlib import PurePosixPath
from typing import Any

from ray.tune.schedulers import TrialScheduler

from common.throttle import Throttle
from tune.driver.event_callback import Recorder
from tune.driver.plan import SweepPlan
from tune.records.events import EventLog
from tune.records.export_best import export_best
from tune.records.tables import history_table, trials_table, write_tables
from tune.records.trial_records import Trial, surplus_checkpoints
from tune.search.pbt import Population
from tune.search.study import SweepStudy
from tune.trial_keys import STATE_FILE

SECONDS_BETWEEN_TABLES = 5.0
_SHARE_OF_TIME = 0.002  # all tables are written whole: of a large sweep more seldom


class Keeper:
    """Keeps tables and disk in order while the sweep runs, and exports the best at its end."""

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
        self._have_saved = set(trials)
        """Trials that may have saved a state since the last look: at first all, for what was left before."""
        self._throttle = Throttle(SECONDS_BETWEEN_TABLES, _SHARE_OF_TIME)
        self._are_tables_old = False
        # by earlier sessions, but for what one that was killed has left
        self._removed = set(surplus_checkpoints(trials, set())) - self._present()

    def _present(self) -> set[str]:
        """Paths of all states that lie in the sweep's folder, relative to it."""
        found = (PurePosixPath(file.name) for file in self._plan.folder.files.list_files())
        return {str(path.parent) for path in found if path.name == STATE_FILE}

    def note_saved(self, number: int) -> None:
        """The trial has saved a state, by which an earlier one may have become surplus."""
        self._have_saved.add(number)

    def write(self, tune_trials: Sequence[Any] = ()) -> None:
        """Write the log, then remove the states that nobody will go on from or copy; tables when due."""
        self._log.flush()  # first: a log in an object store may still name a state that is surplus by now
        self._are_tables_old = True
        if isinstance(self._scheduler, Population):
            needed = self._scheduler.needed_checkpoints(tune_trials)
            self._remove_surplus(self._trials, needed=set(map(self._plan.folder.relative, needed)))
        else:
            self._remove_surplus(self._that_have_saved())
        self._write_tables_if_due()

    def tidy(self) -> None:
        """Write tables that are due, and remove at once what has become surplus where the log says so."""
        # on a disk it names the newer states already
        if self._plan.folder.files.is_local and not isinstance(self._scheduler, Population):
            self._remove_surplus(self._that_have_saved())
        self._write_tables_if_due()

    def _write_tables_if_due(self) -> None:
        if self._are_tables_old and self._throttle.is_due():
            self._write_tables()

    def _write_tables(self) -> None:
        self._are_tables_old = False
        space, metric = self._plan.space, self._plan.config.gan.evaluation.key()
        with self._throttle.timed():
            table = trials_table(self._trials, space, metric)
            write_tables(self._plan.folder.location, table, history_table(self._trials, space))

    def _that_have_saved(self) -> dict[int, Trial]:
        numbers, self._have_saved = self._have_saved, set()
        return {number: self._trials[number] for number in numbers}

    def _remove_surplus(self, trials: Mapping[int, Trial], needed: Set[str] = frozenset()) -> None:
        for path in surplus_checkpoints(trials, needed):
            if path not in self._removed:
                self._plan.folder.files.remove_folder(path)
                self._removed.add(path)

    def close(self, recorder: Recorder) -> None:
        """Leave everything so that the sweep can be looked at and gone on with."""
        recorder.interrupt_the_running()
        self._study.flush()
        self.write()
        if self._are_tables_old:
            self._write_tables()
        export_best(self._plan.folder, self._trials, lower_is_better=True)
