"""The estimate of a sweep's end, compared with the true ends of simulated sweeps."""

import dataclasses

import numpy as np
import pytest

from tests.tune.display.simulated import START, Simulation
from tests.tune.sweeps import tiny_gan
from tune.config import SweepConfig
from tune.display.estimate import Estimate, Schedule, estimate, let_through
from tune.records.events import SweepEvent, Tick, TrialEnded, TrialStarted
from tune.records.trial_records import collect
from tune.search.early_stopping import SuccessiveHalving

STEADY = Simulation(scheduler="none", trials=6, ticks=10, groups=2, own_pace=0, share_that_decays=0)
PLAIN = Schedule(num_trials=6, images_per_tick=64, total_ticks=10)


def at(share: float, simulation: Simulation, seed: int = 0) -> tuple[Estimate | None, float]:
    """The estimate when a share of the time has passed, and the true rest in seconds."""
    events = simulation.events(seed)
    now = START + share * (events[-1].time - START)
    known = collect([event for event in events if event.time <= now])
    found = estimate(Schedule.of(simulation.config()), known, session_started=START, now=now)
    return found, events[-1].time - now


def ratios(share: float, simulation: Simulation, sweeps: int = 8) -> list[float]:
    """Estimate over truth."""
    pairs = [at(share, simulation, seed) for seed in range(sweeps)]
    return [found.seconds / truth for found, truth in pairs if found is not None]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.6, 0.95])
def test_where_all_trials_take_equally_long_the_end_is_known_from_the_first_tick_on(share: float) -> None:
    found, truth = at(share, STEADY)
    assert found is not None and found.seconds == pytest.approx(truth, abs=0.5) and not found.is_bound


def test_before_the_first_tick_nothing_is_said() -> None:
    assert at(0.02, STEADY)[0] is None


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize(
    "simulation",
    [
        pytest.param(Simulation(), id="asha"),
        pytest.param(Simulation(trials=16, ticks=10, groups=2), id="asha, few trials"),
        pytest.param(Simulation(trials=16, ticks=27, groups=1), id="asha, one group"),
        pytest.param(Simulation(scheduler="none"), id="none"),
    ],
)
def test_the_estimate_of_random_sweeps_is_not_grossly_biased(simulation: Simulation, share: float) -> None:
    found = ratios(share, simulation)
    assert 0.75 < np.mean(found) < 1.3
    assert np.std(found) < 0.6


def test_a_first_tick_that_compiles_for_long_is_not_taken_for_all() -> None:
    slow = dataclasses.replace(STEADY, first_tick_s=60)
    found, truth = at(0.35, slow)
    assert found is not None and found.seconds == pytest.approx(truth, rel=0.05)


def test_a_first_tick_that_waited_for_its_actor_counts_as_what_it_took() -> None:
    events: list[SweepEvent] = [started(0, 0.0)]
    events.append(dataclasses.replace(ticked(0, 1, 60.0), metrics={"train_s": 8.0, "evaluate_s": 2.0}))
    schedule = dataclasses.replace(PLAIN, num_trials=1)
    found = estimate(schedule, collect(events), session_started=0.0, now=60.0)
    assert found is not None and found.seconds == pytest.approx(9 * 10)
    schedule = dataclasses.replace(schedule, final_measures=30.0)
    found = estimate(schedule, collect(events), session_started=0.0, now=60.0)
    assert found is not None and found.seconds == pytest.approx(9 * 10 + 30 * 2)


def test_five_states_and_the_base_are_measured_again_with_more_images_by_two_networks() -> None:
    gan = tiny_gan()
    assert Schedule.of(SweepConfig(gan=gan, trials=20)).final_measures == 6 * 2 * 5000 / 1000
    assert Schedule.of(SweepConfig(gan=gan, trials=2)).final_measures == 2 * 2 * 5000 / 1000


def test_with_the_median_rule_it_is_a_bound_until_some_trials_have_ended() -> None:
    median = Simulation(scheduler="median")
    found, truth = at(0.05, median)
    assert found is not None and found.is_bound and found.seconds > truth
    assert str(found).startswith("at most ")
    later, _ = at(0.6, median)
    assert later is not None and str(later).startswith("about ")


def test_trials_that_may_be_ended_for_their_verdict_make_a_bound_too() -> None:
    gan = tiny_gan()
    assert not Schedule.of(SweepConfig(gan=gan, scheduler="none")).may_end_early
    stopping = dataclasses.replace(gan.stopping, when="decayed")
    gan = dataclasses.replace(gan, stopping=stopping)
    assert Schedule.of(SweepConfig(gan=gan, scheduler="none")).may_end_early
    assert not Schedule.of(SweepConfig(gan=gan, scheduler="pbt")).may_end_early, "a population ends none"
    assert not Schedule.of(SweepConfig(gan=gan, scheduler="asha")).may_end_early, "rungs are known"


def test_the_rungs_are_those_of_the_rule() -> None:
    for ticks in (1, 2, 3, 18, 19, 50):
        config = SweepConfig(gan=tiny_gan(images=64 * ticks), grace_ticks=2, reduction=3)
        rule = SuccessiveHalving(first=2, end=ticks, reduction=3)
        assert Schedule.of(config).rungs == tuple(rule.rungs)


@pytest.mark.parametrize("reduction", [2, 3, 4])
def test_a_rung_lets_through_as_many_random_trials_as_the_rule(reduction: int) -> None:
    random, trials, sweeps = np.random.default_rng(0), 12, 1000
    passed = np.zeros(trials)
    for _ in range(sweeps):
        rule = SuccessiveHalving(first=1, end=2, reduction=reduction)
        passed += [not rule.stops(number, 1, value) for number, value in enumerate(random.random(trials))]
    expected = let_through(np.arange(trials, dtype=np.float64), reduction)
    np.testing.assert_allclose(passed / sweeps, expected, atol=0.05)


def started(number: int, time: float, attempt: int = 0) -> TrialStarted:
    return TrialStarted(number=number, trial_id=f"t{number}", attempt=attempt, time=time)


def ticked(number: int, count: int, time: float) -> Tick:
    return Tick(number=number, trial_id=f"t{number}", images_seen=64 * count, metrics={"swd": 1.0}, time=time)


def ended(number: int, time: float) -> TrialEnded:
    return TrialEnded(number=number, state="interrupted", time=time)


def test_a_resumed_sweep_counts_what_is_left_at_the_pace_of_this_session() -> None:
    earlier: list[SweepEvent] = [
        *(started(number, 0.0) for number in range(2)),
        *(ticked(number, count, 100.0 * count) for count in range(1, 9) for number in range(2)),
        *(ended(number, 900.0) for number in range(2)),
    ]
    schedule = dataclasses.replace(PLAIN, num_trials=2)
    resumed = [*earlier, *(started(number, 10_000.0, attempt=1) for number in range(2))]
    assert estimate(schedule, collect(resumed), session_started=9_999.0, now=10_005.0) is None
    resumed.append(ticked(0, 9, 10_010.0))
    found = estimate(schedule, collect(resumed), session_started=9_999.0, now=10_010.0)
    assert found is not None and found.seconds == pytest.approx(10), "one tick of 10 s each, side by side"
    stopped = collect(earlier)
    assert estimate(schedule, stopped, session_started=0.0, now=910.0) is None, "no trial runs"


def test_interrupted_trials_that_wait_are_counted_from_where_they_are() -> None:
    events: list[SweepEvent] = [
        *(started(number, 0.0) for number in range(2)),
        *(ticked(number, 5, 50.0) for number in range(2)),
        *(ended(number, 60.0) for number in range(2)),
        started(0, 1000.0, attempt=1),
        ticked(0, 6, 1010.0),
    ]
    schedule = dataclasses.replace(PLAIN, num_trials=2)
    found = estimate(schedule, collect(events), session_started=999.0, now=1010.0)
    assert found is not None and found.seconds == pytest.approx((4 + 5) * 10), "one after the other"


def test_a_time_budget_is_a_bound_where_it_ends_first() -> None:
    events = STEADY.events(0)
    known = collect([event for event in events if event.time <= START + 50])
    for budget_s, said in ((70.0, "at most 20 s left"), (1e6, "about 4 min left")):
        schedule = dataclasses.replace(PLAIN, budget_s=budget_s)
        assert str(estimate(schedule, known, session_started=START, now=START + 50)) == said


def test_a_time_budget_runs_from_the_first_trial_on() -> None:
    events: list[SweepEvent] = [started(0, 100.0), started(1, 100.0)]
    events += [ticked(0, 1, 110.0), ticked(1, 1, 110.0)]
    events += [TrialEnded(number=number, state="pruned", time=110.0) for number in range(2)]
    events += [started(2, 110.0), started(3, 110.0), ticked(2, 1, 120.0), ticked(3, 1, 120.0)]
    schedule = dataclasses.replace(PLAIN, budget_s=60.0)
    found = estimate(schedule, collect(events), session_started=90.0, now=120.0)
    assert found == Estimate(40.0, is_bound=True)


def test_a_population_ends_when_its_slowest_member_does() -> None:
    events: list[SweepEvent] = [started(number, 0.0) for number in range(4)]
    events += [ticked(number, count, (10.0 + number) * count) for count in (1, 2, 3) for number in range(4)]
    schedule = dataclasses.replace(PLAIN, num_trials=4)
    found = estimate(schedule, collect(events), session_started=-1.0, now=39.0)
    assert found is not None and found.seconds == pytest.approx(7 * 13)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "10 s"),
        (31, "40 s"),
        (95, "2 min"),
        (59.4 * 60, "59 min"),
        (3600 * 2 + 60 * 14, "2 h 10 min"),
        (3600 * 3, "3 h"),
        (86400 * 2 + 3600, "2 d 1 h"),
    ],
)
def test_a_time_is_no_more_exact_than_an_estimate(seconds: float, text: str) -> None:
    assert str(Estimate(seconds)) == f"about {text} left"
