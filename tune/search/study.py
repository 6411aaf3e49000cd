"""The Optuna study of a sweep and its resumes: asks for trials, stores their values and how they ended."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from common.errors import ConfigError, require
from gan.metrics.config import ARTIFACTS
from tune.config import Search
from tune.records.events import EndState, TrialEnded
from tune.records.trial_records import STUDY_DIRECTION, Ending, Trial
from tune.search.journal import StudyStorage
from tune.search.same_space import check_same_space
from tune.search.samplers import SAMPLERS
from tune.space.domains import Value
from tune.space.space import Space, suggest

REASON_ATTR = "reason"
VERDICT_ATTR, EVIDENCE_ATTR = "verdict", "verdict_evidence"
STOPPED_ATTR = "stopped_for"
SEED = "seed"
TRIAL_ID_ATTR = "tune_trial_id"
LOST = "lost with its driver"
_END_STATES: dict[TrialState, EndState] = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclasses.dataclass(frozen=True)
class StudyOutcome:
    """How a trial ended, in Optuna's words.

    COMPLETE with a value; PRUNED, with a reason when it failed by its own settings; FAIL, with a reason, when
    it lost its workers.
    """

    state: TrialState
    value: float | None = None
    reason: str | None = None


def study_outcome(ending: Ending, value: Any) -> StudyOutcome:
    """What Optuna is told about a trial that ended so with `value`, the last one of its objective.

    A completed trial has its last value, not its best: the noise of many ticks would favour trials that were
    measured more often. A pruned one keeps its intermediate values. One that failed by its own settings is
    pruned too: samplers ignore failed trials, and would propose such settings again and again.
    """
    if ending.state == "failed":
        state = TrialState.PRUNED if ending.own_fault else TrialState.FAIL
        return StudyOutcome(state, reason=ending.reason or "failed")
    if ending.state == "pruned":
        return StudyOutcome(TrialState.PRUNED)
    number = finite(value)
    if number is None:
        return StudyOutcome(TrialState.PRUNED, reason="it diverged, or its last value is not finite")
    return StudyOutcome(TrialState.COMPLETE, value=number)


def finite(value: Any) -> float | None:
    """A finite number as a float, anything else as None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


class SweepStudy:
    """The study of one sweep, named after it, in the sweep's folder or at any storage URL of Optuna.

    Args:
        first: settings of the first trial, within the space; None lets the sampler propose them as well.
        step_of: the step at which the value after so many images is stored (`GanConfig.nominal_images`).
        known: the trials of the event log when the sweep is resumed, None for a new sweep.

    Raises: ConfigError when a new sweep's study already exists or a resumed one's does not.
    """

    def __init__(
        self,
        space: Space,
        *,
        metric: str,
        name: str,
        location: str | Path,
        num_trials: int,
        step_of: Callable[[int], int] = int,
        search: Search = "tpe",
        seed: int = 0,
        storage_url: str | None = None,
        first: Mapping[str, Value] | None = None,
        known: Mapping[int, Trial] | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._metric, self._num_trials = space, metric, num_trials
        self._step_of = step_of
        self._place = StudyStorage(location, storage_url)
        # a sweep that was stopped before it had a study has no trials either
        is_new = known is None or not (known or self._place.names())
        self._study = _open(self._place.storage, name, is_new=is_new)
        self._id = self._place.storage.get_study_id_from_name(name)
        self._steps: dict[int, set[int]] = {}
        self.returning: list[Trial] = []
        """Trials that a resumed sweep continues before it asks for new ones."""
        self.unlogged: list[TrialEnded] = []
        """Ends of trials that are missing in a resumed sweep's event log, since the driver died too early."""
        if known is not None and not is_new:
            self._take_back(known)
        elif first is not None:
            self._study.enqueue_trial(dict(first))
        counted = list(filter(_counts, self._study.get_trials(deepcopy=False)))
        self._num_asked, self._seed = len(counted), seed
        self._asked = Counter(frozenset(trial.params.items()) for trial in counted)
        self._study.sampler = _sampler(search, seed, num_trials, self._num_asked)
        self.flush()

    def ask(self) -> tuple[int, dict[str, Value]] | None:
        """Number and settings of a new trial, None when all have been asked for.

        In a small space a sampler proposes the same settings again. Such a trial has a seed of its own and
        shows how much is luck.
        """
        if self._num_asked >= self._num_trials:
            return None
        trial = self._study.ask()
        self._num_asked += 1
        values = suggest(self._space, trial)
        repeats = self._asked[frozenset(values.items())]
        self._asked[frozenset(values.items())] += 1
        if repeats and SEED not in self._space:
            values[SEED] = self._seed + repeats
            self.annotate(trial.number, SEED, str(values[SEED]))
        return trial.number, values

    def report(self, number: int, step: int, value: Any) -> None:
        """Store the objective at a step in images, unless it is not finite or the step is already stored.

        step: the same for trials of every batch size, since TPE ranks pruned trials by their last step first.
        """
        steps, found = self._steps.setdefault(number, set()), finite(value)
        if found is not None and step not in steps:
            self._place.storage.set_trial_intermediate_value(self._trial_id(number), step, found)
            steps.add(step)

    def tell(self, number: int, outcome: StudyOutcome) -> None:
        """End a trial; one that has already ended stays as it is."""
        if outcome.reason is not None and not self.is_finished(number):
            self.annotate(number, REASON_ATTR, outcome.reason)
        self._study.tell(number, outcome.value, outcome.state, skip_if_finished=True)

    def annotate(self, number: int, name: str, value: str | float) -> None:
        """Set a user attribute, which optuna-dashboard shows."""
        self._place.storage.set_trial_user_attr(self._trial_id(number), name, value)

    def annotate_artifacts(self, number: int, metrics: Mapping[str, Any]) -> None:
        """Set what a trial's last tick says of patterns and burnt pixels, unless the trial has ended."""
        for name in ARTIFACTS:
            value = finite(metrics.get(name))
            if value is not None and not self.is_finished(number):
                self.annotate(number, name, value)

    def annotate_verdict(
        self, number: int, found: tuple[str | None, str | None], ended_for: str | None
    ) -> None:
        """Set the last verdict on a trial, its evidence, and the verdict for which it ended, if it did.

        A trial that has ended stays as it is.
        """
        values = zip((VERDICT_ATTR, EVIDENCE_ATTR, STOPPED_ATTR), (*found, ended_for), strict=True)
        for name, value in values:
            if value is not None and not self.is_finished(number):
                self.annotate(number, name, value)

    def is_finished(self, number: int) -> bool:
        """Whether the trial has ended."""
        trial: FrozenTrial = self._place.storage.get_trial(self._trial_id(number))
        return bool(trial.state.is_finished())

    def flush(self) -> None:
        """Write what an object store does not have yet; before the event log there names a new trial."""
        self._place.flush()

    def _trial_id(self, number: int) -> int:
        return int(self._place.storage.get_trial_id_from_study_id_trial_number(self._id, number))

    def _take_back(self, known: Mapping[int, Trial]) -> None:
        check_same_space(self._space, self._study.get_trials(deepcopy=False))
        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._steps[frozen.number] = set(frozen.intermediate_values)
            trial = known.get(frozen.number)
            if trial is None:  # the sweep was stopped before it could start
                if self._has_all_settings(frozen.params):
                    self.returning.append(Trial(number=frozen.number, values=dict(frozen.params)))
                else:  # killed while its settings were drawn
                    self.tell(frozen.number, study_outcome(Ending("failed", reason=LOST), None))
                continue
            for tick in trial.valid_ticks():
                step = self._step_of(tick.images_seen)
                self.report(frozen.number, step, tick.counted(self._metric))
            if trial.is_unfinished():
                self.returning.append(dataclasses.replace(trial, values=trial.values or dict(frozen.params)))
            else:  # the driver died before it told the study
                last = trial.last_tick()
                self.annotate_artifacts(frozen.number, last.metrics if last else {})
                self.annotate_verdict(frozen.number, trial.verdict(), trial.ended_for)
                self.tell(frozen.number, self._logged_outcome(trial))
        for frozen in self._study.get_trials(deepcopy=False, states=tuple(_END_STATES)):
            trial = known.get(frozen.number)
            if trial is None or trial.is_unfinished():
                self.unlogged.append(_logged_end(frozen))
        order = {number: place for place, number in enumerate(known)}
        self.returning.sort(key=lambda trial: (order.get(trial.number, len(order)), trial.number))

    def _logged_outcome(self, trial: Trial) -> StudyOutcome:
        last = trial.last_tick()
        value = last.counted(self._metric) if last else None
        assert trial.state in ("completed", "pruned", "failed"), "an unfinished trial is continued instead"
        return study_outcome(Ending(trial.state, trial.reason, trial.own_fault), value)

    def _has_all_settings(self, values: Mapping[str, Any]) -> bool:
        return all(path in values for path in self._space if self._space.is_active(path, values))


def _logged_end(frozen: FrozenTrial) -> TrialEnded:
    """The end of a trial as the event log has it, from what the study knows."""
    reason, verdict = (frozen.user_attrs.get(name) for name in (REASON_ATTR, STOPPED_ATTR))
    is_own_fault = frozen.state == TrialState.PRUNED and reason is not None
    state = "failed" if is_own_fault else _END_STATES[frozen.state]
    if reason is None and verdict is not None:
        reason = f"{verdict}: {frozen.user_attrs.get(EVIDENCE_ATTR)}"
    return TrialEnded(
        number=frozen.number, state=state, reason=reason, own_fault=is_own_fault, verdict=verdict
    )


def _sampler(name: Search, seed: int, num_trials: int, num_asked: int) -> optuna.samplers.BaseSampler:
    # the trials that the study already has are in the seed: a resumed sweep does not draw their values again
    sampler_seed = int(np.random.SeedSequence([seed, num_asked]).generate_state(1)[0])
    # a quarter of a small sweep at random, its first trial included; Optuna's default of 10 is for large ones
    return SAMPLERS[name](seed=sampler_seed, num_random=min(10, max(4, num_trials // 4)))


def _open(storage: Any, name: str, *, is_new: bool) -> optuna.Study:
    if is_new:
        try:
            return optuna.create_study(storage=storage, study_name=name, direction=STUDY_DIRECTION)
        except optuna.exceptions.DuplicatedStudyError:
            raise ConfigError(
                f"the sweep {name} already exists; choose another --name, or use python -m tune resume"
            ) from None
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        others = ", ".join(optuna.get_all_study_names(storage)) or "none"
        raise ConfigError(
            f"the storage of studies must hold that of the sweep, {name}, and holds {others}; name the right "
            "one with --study"
        ) from None
    found = study.direction.name.lower()
    require(
        found == STUDY_DIRECTION,
        f"the study {name} is to {found} its objective, not to {STUDY_DIRECTION}; start a new sweep",
    )
    return study


def _counts(trial: FrozenTrial) -> bool:
    # a trial that was asked for and lost before it started is asked for again
    return trial.state != TrialState.WAITING and trial.user_attrs.get(REASON_ATTR) != LOST
