"""Trials that are ended for their verdicts, in a real sweep and by the watch alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from gan.config import OptimizerConfig
from gan.training.health import Verdict, verdict
from gan.training.health.stopping import StoppingConfig
from tests.tune.sweeps import GARBAGE, POISON, RATE, rates, sweep, tiny_gan
from tune.config import SweepConfig
from tune.display.troubles import troubles
from tune.driver.health_watch import HealthWatch
from tune.records.event_reading import read_events
from tune.records.events import Tick, TrialEnded, TrialStarted
from tune.records.trial_records import Trial, collect, end_of
from tune.search.journal import StudyStorage
from tune.trial_keys import METRICS_KEY, STOPPED_KEY, VERDICT_KEY

STILL, ALSO_STILL = 1e-12, 2e-12
"""Learning rates with which nothing moves."""
METRIC = "swd"


@pytest.mark.usefixtures("shared_ray", "sabotage", "cache")
def test_a_sweep_ends_trials_for_their_verdicts_and_says_so_everywhere(tmp_path: Path) -> None:
    gan = tiny_gan(
        images=256 * 9,
        images_per_tick=256,
        batch=8,
        ema_half_life=0,
        optimizer=OptimizerConfig(generator_lr=STILL),
        stopping=StoppingConfig(when="discriminator_won,diverged", patience=2),
    )
    trials = sweep(
        tmp_path, rates(STILL, ALSO_STILL, POISON), gan=gan, trials=8, search="random", scheduler="none"
    )
    by_rate = {trial.values[RATE]: trial for trial in trials.values() if trial.number > 0}
    base, still, poisoned = trials[0], by_rate[ALSO_STILL], by_rate[POISON]
    assert (base.state, base.ended_for) == ("completed", None)  # all others are compared with it
    assert base.verdict()[0] == "discriminator_won"
    assert (still.state, still.ended_for) == ("pruned", "discriminator_won")
    assert still.reason is not None and still.reason.startswith("discriminator_won: the discriminator is")
    assert (poisoned.state, poisoned.ended_for) == ("failed", "diverged")
    last = still.last_tick()
    assert last is not None and last.images_seen < gan.total_images()

    # the tables, the log and the study agree
    assert collect(read_events(tmp_path / "sweep")) == trials
    table = pd.read_parquet(tmp_path / "sweep" / "trials.parquet").set_index("number")
    assert table.loc[still.number, "ended_for"] == "discriminator_won"
    assert table.loc[still.number, "verdict_evidence"] == last.verdict_evidence
    assert table.loc[poisoned.number, "verdict"] == "diverged"
    history = pd.read_parquet(tmp_path / "sweep" / "history.parquet")
    found = history[history["number"] == still.number]["verdict"]
    assert list(found) == ["healthy"] * (len(found) - 2) + ["discriminator_won"] * 2
    study = optuna.load_study(study_name="sweep", storage=StudyStorage(tmp_path / "sweep", None).storage)
    told = study.trials[still.number]
    assert told.state == optuna.trial.TrialState.PRUNED and told.intermediate_values
    assert told.user_attrs["stopped_for"] == told.user_attrs["verdict"] == "discriminator_won"
    assert study.trials[poisoned.number].user_attrs["verdict"] == "diverged"

    line = troubles(trials, gan.total_images())
    seen = [trial.last_tick() for trial in trials.values() if trial.ended_for is not None]
    saved = sum(gan.total_images() - (tick.images_seen if tick else 0) for tick in seen)
    assert line is not None and f"{len(seen)} trials ended early for " in line
    assert f", which saved {saved:,} images; " in line
    assert "last verdicts on others: 1 discriminator_won" in line


@pytest.mark.usefixtures("shared_ray", "sabotage", "cache")
def test_garbage_that_the_objective_likes_teaches_a_sweep_nothing(tmp_path: Path) -> None:
    gan = tiny_gan(optimizer=OptimizerConfig(generator_lr=GARBAGE))  # its --stop-when is none
    trials = sweep(tmp_path, rates(GARBAGE, 2e-4), gan=gan, trials=6, search="random", scheduler="asha")
    garbage = {number for number, trial in trials.items() if trial.values[RATE] == GARBAGE}
    assert 1 < len(garbage) < 6
    assert trials[0].state == "completed" and len(trials[0].ticks) == 4
    for number in garbage - {0}:  # of which even the rule for early stopping would think highly
        assert (trials[number].state, len(trials[number].ticks)) == ("pruned", 1)
    assert all(trial.best_tick("swd") is None for trial in trials.values() if trial.number in garbage)
    study = optuna.load_study(study_name="sweep", storage=StudyStorage(tmp_path / "sweep", None).storage)
    for number in garbage:
        told = study.trials[number]
        assert told.state == optuna.trial.TrialState.PRUNED and not told.intermediate_values
        assert told.user_attrs["verdict"] == "diverged"
    assert study.best_trial.number not in garbage


def row(tick: int, value: float) -> dict[str, float]:
    """The numbers of a tick."""
    return {"images_seen": 64.0 * tick, METRIC: value, f"{METRIC}_noise": 1.0}


def watch(known: Mapping[int, Trial], **settings: Any) -> HealthWatch:
    """A watch of decay with a patience of two ticks, over trials whose ids are their numbers."""
    gan = tiny_gan(stopping=StoppingConfig(when="decayed", patience=2))
    return HealthWatch(SweepConfig(gan=gan, **settings), known, int, set())


def trial_with(values: list[float], number: int = 1, attempts: int = 1) -> dict[int, Trial]:
    """A trial that has reported these values, in each of so many attempts."""
    ticks = [
        Tick(number=number, trial_id=str(number), images_seen=64 * place, metrics=row(place, value))
        for place, value in enumerate(values, start=1)
    ]
    started = TrialStarted(number=number, trial_id=str(number))
    return collect([event for _ in range(attempts) for event in (started, *ticks)])


DECAYING = [100.0, 50.0, 40.0, 40.0, 40.0, 60.0, 70.0, 80.0, 90.0]


def stops_at(known_up_to: int, **settings: Any) -> tuple[bool, dict[str, Any]]:
    """Whether the watch stops the decaying trial at a tick, and the result with what it adds."""
    known = trial_with(DECAYING[: known_up_to - 1])
    result = {METRICS_KEY: tuple(row(known_up_to, DECAYING[known_up_to - 1]).items()), "done": False}
    return watch(known, **settings)("1", result), result


def test_the_watch_stops_a_trial_after_its_patience_and_gives_the_reason() -> None:
    expected = [verdict([row(n, v) for n, v in enumerate(DECAYING[:end], 1)], METRIC) for end in range(1, 10)]
    first = next(place for place, found in enumerate(expected, start=1) if found.name == "decayed")
    for tick in range(1, first + 1):
        stops, result = stops_at(tick)
        assert not stops and STOPPED_KEY not in result and result[VERDICT_KEY] == expected[tick - 1]
    stops, result = stops_at(first + 1)
    assert stops
    ending = end_of(result)
    assert (ending.state, ending.verdict) == ("pruned", "decayed")
    assert ending.reason == f"decayed: {expected[first].evidence}"


def test_a_patience_goes_on_where_a_resumed_or_repeated_attempt_left_it() -> None:
    first = next(tick for tick in range(1, 10) if stops_at(tick)[1][VERDICT_KEY].name == "decayed")
    known = trial_with(DECAYING[:first], attempts=2)  # also ticks that the second attempt repeats
    result = {METRICS_KEY: tuple(row(first + 1, DECAYING[first]).items())}
    assert watch(known)("1", result)
    # a tick that is repeated is judged by those before it, not by those that were lost
    repeated = {METRICS_KEY: tuple(row(first, DECAYING[first - 1]).items())}
    assert not watch(known)("1", repeated)


@pytest.mark.parametrize("settings", [{"scheduler": "pbt", "trials": 4}, {}])
def test_neither_members_of_a_population_nor_the_baseline_are_stopped(settings: dict[str, Any]) -> None:
    number = 1 if settings else 0
    known = trial_with(DECAYING[:-1], number)
    result = {METRICS_KEY: tuple(row(9, DECAYING[-1]).items())}
    assert not watch(known, **settings)(str(number), result)
    assert result[VERDICT_KEY] == Verdict("decayed", *_texts(result))


def _texts(result: Mapping[str, Any]) -> tuple[str, str]:
    found: Verdict = result[VERDICT_KEY]
    return found.evidence, found.remedy


def test_a_trial_that_has_all_its_images_is_completed_whatever_its_verdict() -> None:
    result = {METRICS_KEY: tuple(row(9, DECAYING[-1]).items()), "done": True, "is_complete": True}
    assert not watch(trial_with(DECAYING[:-1]))("1", result)
    assert end_of(result).state == "completed"


def test_the_log_of_an_earlier_version_has_trials_without_verdicts() -> None:
    known = collect([TrialStarted(number=0, trial_id="a"), TrialEnded(number=0, state="completed")])
    assert known[0].verdict() == (None, None)
    assert troubles(known, 100) is None
