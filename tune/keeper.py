"""RAY: what a sweep keeps on its disk while it runs and at its end; not what is written into each file."""

from collections.abc import Mapping, Sequence, Set
from pathlib import PurePosixPath
from typing import Any

from ray.tune.schedulers import TrialScheduler

from tune.best import export_best
from tune.events import EventLog
from tune.plan import SweepPlan
from tune.population import Population
from tune.recorder import Recorder
from tune.results import history_table, trials_table, write_tables
from tune.study import SweepStudy
from tune.trial import STATE_FILE
from tune.trials import Trial, surplus_checkpoints


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
        self._counts: dict[int, int] = {}
        """How many states each trial had saved when they were looked at last."""
        # by earlier sessions, but for what one that was killed has left
        self._removed = set(surplus_checkpoints(trials, set())) - self._present()

    def _present(self) -> set[str]:
        """Paths of all states that lie in the sweep's folder, relative to it."""
        found = (PurePosixPath(file.name) for file in self._plan.folder.files.list_files())
        return {str(path.parent) for path in found if path.name == STATE_FILE}

    def write(self, tune_trials: Sequence[Any] = ()) -> None:
        """Write log and tables, then remove the states that nobody will go on from or copy."""
        self._log.flush()  # first: a log in an object store may still name a state that is surplus by now
        folder, space = self._plan.folder, self._plan.space
        table = trials_table(self._trials, space, self._plan.config.gan.evaluation.key())
        write_tables(folder.location, table, history_table(self._trials, space))
        if isinstance(self._scheduler, Population):
            needed = self._scheduler.needed_checkpoints(tune_trials)
            self._remove_surplus(self._trials, needed=set(map(folder.relative, needed)))
        else:
            self._remove_surplus(self._that_have_saved())

    def tidy(self) -> None:
        """Remove at once what has become surplus on a disk, where the log names the newer states already."""
        if self._plan.folder.files.is_local and not isinstance(self._scheduler, Population):
            self._remove_surplus(self._that_have_saved())

    def _that_have_saved(self) -> dict[int, Trial]:
        """The trials with another state than at the last look."""
        counts = {number: len(trial.checkpoints) for number, trial in self._trials.items()}
        changed = counts.items() - self._counts.items()
        self._counts = counts
        return {number: self._trials[number] for number, _ in changed}

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
        export_best(self._plan.folder, self._trials, lower_is_better=True)
