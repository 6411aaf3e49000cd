"""Early stopping: our rules against Ray's, fairness over batch sizes, and what a resumed sweep remembers."""

import random
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from gan.config import EvaluationConfig, GanConfig
from gan.training.health import DIVERGED
from tune.config import SweepConfig
from tune.driver.plan import SweepPlan
from tune.driver.tuner import build_scheduler
from tune.records.events import CheckpointSaved, Tick, TrialStarted
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial, collect
from tune.search.early_stopping import MedianRule, SuccessiveHalving
from tune.search.pbt import Population
from tune.search.scheduler import EarlyStopping
from tune.space.default import default_space
from tune.trial_keys import NOMINAL_KEY, NUMBER_KEY

TICKS = 9
BASE = GanConfig(
    images=TICKS * 8000, images_per_tick=8000, evaluation=EvaluationConfig(metric="swd", metric_images=16)
)
VALUES = st.floats(0, 100, allow_nan=False)
CURVES = st.lists(st.lists(VALUES, min_size=TICKS, max_size=TICKS), min_size=1, max_size=12)


def rays(scheduler: Any) -> Any:
    """Ray's own scheduler as a rule of ours."""
    scheduler.set_search_properties("swd", "min")
    trials: dict[int, Any] = {}

    def stops(number: int, step: int, value: float) -> bool:
        if number not in trials:
            trials[number] = _RayTrial(str(number))
            scheduler.on_trial_add(None, trials[number])
        controller = types.SimpleNamespace(get_live_trials=list)
        answer = scheduler.on_trial_result(controller, trials[number], {"time": step, "swd": value})
        return bool(answer == TrialScheduler.STOP)

    return types.SimpleNamespace(stops=stops)


class _RayTrial:
    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


def interleaved(curves: list[list[float]], seed: int) -> Iterator[tuple[int, int, float]]:
    """The values of trials that run side by side, in a random order; `send(True)` ends a trial."""
    rng, left = random.Random(seed), {number: list(curve) for number, curve in enumerate(curves)}
    while left:
        number = rng.choice(sorted(left))
        step = TICKS - len(left[number]) + 1
        stopped = yield number, step, left[number].pop(0)
        if stopped or not left[number]:
            del left[number]


@settings(max_examples=100, deadline=None)
@given(CURVES, st.integers(0, 1000), st.integers(1, 3), st.integers(2, 4))
def test_successive_halving_and_the_median_rule_decide_as_rays_do(
    curves: list[list[float]], seed: int, grace: int, reduction: int
) -> None:
    asha = ASHAScheduler(time_attr="time", grace_period=grace, max_t=TICKS + 1, reduction_factor=reduction)
    pairs = [
        (SuccessiveHalving(first=grace, end=TICKS + 1, reduction=reduction), rays(asha)),
        (MedianRule(grace=grace), rays(MedianStoppingRule(time_attr="time", grace_period=grace))),
    ]
    for ours, theirs in pairs:
        values = interleaved(curves, seed)
        event = next(values)
        while True:
            stops = ours.stops(*event)
            assert stops == theirs.stops(*event), event
            try:
                event = values.send(stops)
            except StopIteration:
                break


def scheduler_of(known: dict[int, Trial], tmp_path: Path, **config: Any) -> TrialScheduler:
    plan = SweepPlan(
        config=SweepConfig(gan=BASE, name="s", storage=str(tmp_path), **config),
        space=default_space(),
        folder=SweepFolder(str(tmp_path), "s"),
    )
    return build_scheduler(plan, known, set())


def decide(scheduler: Any, number: int, images_seen: int, value: float) -> str:
    trial = types.SimpleNamespace(trial_id=f"t{number}", config={NUMBER_KEY: number})
    result = {"images_seen": images_seen, NOMINAL_KEY: BASE.nominal_images(images_seen), "swd": value}
    return str(scheduler.on_trial_result(None, trial, result))


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_trials_of_all_batch_sizes_with_the_same_curve_are_judged_at_the_same_ticks(
    scheduler: str, tmp_path: Path
) -> None:
    judge = scheduler_of({}, tmp_path, scheduler=scheduler)
    batches = {1: 32, 2: 128, 3: 96, 4: 64, 5: 128}
    seen = dict.fromkeys(batches, 0)
    for tick in range(1, TICKS + 1):
        for number, batch in batches.items():
            config = BASE.with_values({"batch": batch})
            seen[number] += config.steps_to_next_tick(seen[number]) * batch
            assert config.nominal_images(seen[number]) == tick * 8000 <= seen[number] < tick * 8000 + batch
            decision = decide(judge, number, seen[number], value=100.0 - tick)
            assert decision == "CONTINUE", "equal curves, so that none is worse"
    assert all(seen[number] == BASE.with_values({"batch": b}).total_images() for number, b in batches.items())


def test_the_baseline_is_never_stopped_and_what_is_worse_is(tmp_path: Path) -> None:
    judge = scheduler_of({}, tmp_path, scheduler="asha")
    decisions = [decide(judge, number, 16000, value) for number, value in ((1, 1.0), (2, 2.0), (0, 9.0))]
    assert decisions == ["CONTINUE", "STOP", "CONTINUE"]
    assert decide(judge, 3, 16000, 9.0) == "STOP", "the baseline's value counts for the others"


def sessions(num_trials: int) -> dict[int, Trial]:
    """An event log of trials of which every second one is in the middle of its run."""
    rng, events = random.Random(0), []
    for number in range(num_trials):
        events.append(TrialStarted(number=number, trial_id=f"t{number}"))
        for tick in range(1, TICKS + 1 if number % 2 else 5):
            images = 8000 * tick + 64  # of a batch that does not divide a tick
            metrics = {"swd": rng.random()}
            events.append(Tick(number=number, trial_id=f"t{number}", images_seen=images, metrics=metrics))
        events.append(CheckpointSaved(number=number, images_seen=images, path=f"c{number}"))
    return collect(events)


def test_a_resumed_sweep_judges_by_what_its_earlier_sessions_measured(tmp_path: Path) -> None:
    trials = sessions(10)
    for name in ("asha", "median"):
        first, resumed = (
            scheduler_of({}, tmp_path, scheduler=name),
            scheduler_of(trials, tmp_path, scheduler=name),
        )
        for trial in trials.values():
            for tick in trial.valid_ticks():
                decide(first, trial.number, tick.images_seen, tick.metrics["swd"])
        more = [(number, 8000 * tick, number / 30) for number in range(20, 30) for tick in range(1, TICKS)]
        again = [decide(first, *value) for value in more]
        assert again == [decide(resumed, *value) for value in more]
        fresh = scheduler_of({}, tmp_path, scheduler=name)
        assert again != [decide(fresh, *value) for value in more]


def test_a_resumed_population_does_not_exploit_before_its_time(tmp_path: Path) -> None:
    population = scheduler_of(sessions(2), tmp_path, scheduler="pbt", trials=2, perturb_ticks=3)
    assert isinstance(population, Population)
    population.set_search_properties("swd", "min")
    for number, expected in ((0, 24000), (1, 72000), (7, 0)):
        trial = _Member(number)
        population.on_trial_add(None, trial)
        assert population._trial_state[trial].last_perturbation_time == expected


class _Member:
    experiment_tag = ""

    def __init__(self, number: int) -> None:
        self.trial_id, self.status, self.is_finished = f"t{number}", "RUNNING", lambda: False
        settings = dict.fromkeys(default_space(), 0.5)
        self.config, self.evaluated_params = {NUMBER_KEY: number, **settings}, dict[str, Any]()
        self.last_result = None
        manager = types.SimpleNamespace(checkpoint_config=types.SimpleNamespace(num_to_keep=None))
        self.run_metadata = types.SimpleNamespace(checkpoint_manager=manager)


def test_a_member_that_diverged_is_the_worst_whatever_its_value() -> None:
    diverged = {"t0", "t3"}
    population = Population(default_space(), interval=4000, seed=0, diverged=diverged)
    population.set_search_properties("swd", "min")
    members = {number: _Member(number) for number in range(4)}
    controller = types.SimpleNamespace(_schedule_trial_save=lambda *_, **__: None, get_trials=list)

    def report(number: int, images: int, value: float) -> None:
        result = {"images_seen": images, NOMINAL_KEY: images, "swd": value}
        population.on_trial_result(controller, members[number], result)

    for member in members.values():
        population.on_trial_add(None, member)
    for number, value in enumerate((0.1, 5.0, 6.0, 7.0)):
        report(number, 4000, value)
    population._quantile_fraction = 0.5
    assert set(_numbers(population._quantiles()[0])) == {0, 3}
    diverged.clear()  # they have copied others, and got well
    report(0, 8000, 4.0)
    report(3, 8000, 7.0)
    assert set(_numbers(population._quantiles()[0])) == {2, 3}


def _numbers(members: Iterable[Any]) -> Iterator[int]:
    return (member.config[NUMBER_KEY] for member in members)


def test_a_trial_that_diverged_stops_and_no_other_is_measured_by_its_value(tmp_path: Path) -> None:
    diverged = {"t3"}
    rule = MedianRule(grace=8000)
    scheduler = EarlyStopping(rule, "swd", diverged)
    assert decide(scheduler, 3, 8000, 0.01) == TrialScheduler.STOP
    assert not rule.values
    base = decide(EarlyStopping(rule, "swd", {"t0"}), 0, 8000, 0.01)
    assert base == TrialScheduler.CONTINUE and not rule.values
    # nor in a resumed sweep
    ticks = [
        Tick(number=1, trial_id="a", images_seen=8000 * place, metrics={"swd": 0.1}, verdict=verdict)
        for place, verdict in enumerate(("healthy", DIVERGED), start=1)
    ]
    resumed = scheduler_of(
        collect([TrialStarted(number=1, trial_id="a"), *ticks]), tmp_path, scheduler="median"
    )
    assert resumed._rule.values == {1: {8000: 0.1}}


def test_without_a_scheduler_nothing_stops_a_trial(tmp_path: Path) -> None:
    assert type(scheduler_of({}, tmp_path, scheduler="none")) is FIFOScheduler
