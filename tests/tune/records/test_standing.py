"""How a sweep stands, from its events and its lock."""

import pytest

from common.storage.lock import Holder
from common.storage.lock_state import LockState
from gan.config import EvaluationConfig
from tune.records.events import (
    CheckpointSaved,
    StateConfirmed,
    SweepEvent,
    SweepStarted,
    Tick,
    TrialEnded,
    TrialStarted,
)
from tune.records.standing import Standing, objective_name, standing
from tune.records.trial_records import EndState, collect

HELD = LockState("held", Holder.this_process())
LEFT = LockState("left", Holder.this_process())
FREE, UNKNOWN = LockState("free"), LockState("unknown", Holder.this_process())


def began(number: int, time: float, attempt: int = 0) -> TrialStarted:
    return TrialStarted(number=number, trial_id=f"t{number}", attempt=attempt, time=time)


def ticked(number: int, images: int, time: float) -> Tick:
    return Tick(number=number, trial_id="t", images_seen=images, metrics={"swd": 1.0}, time=time)


def ended(number: int, state: EndState, time: float = 30.0) -> TrialEnded:
    return TrialEnded(number=number, state=state, time=time)


def found(lock: LockState, *events: SweepEvent, trials: int = 2) -> Standing:
    return standing(events, collect(events), trials, lock)


RUNNING = (began(0, 10.0), began(1, 10.0))
STOPPED = (*RUNNING, ended(0, "completed"), ended(1, "interrupted"))
FINISHED = (*RUNNING, ended(0, "completed"), ended(1, "failed"))


@pytest.mark.parametrize(
    ("lock", "events", "state"),
    [
        (HELD, (), "running"),
        (HELD, RUNNING, "running"),
        (HELD, STOPPED, "running"),  # it is being resumed
        (HELD, FINISHED, "running"),  # the best states are measured again
        (LEFT, RUNNING, "died"),
        (FREE, RUNNING, "died"),
        (LEFT, STOPPED, "died"),
        (FREE, STOPPED, "stopped"),
        (FREE, (), "stopped"),
        (UNKNOWN, RUNNING, "unknown"),
        (UNKNOWN, STOPPED, "unknown"),
        *((lock, FINISHED, "finished") for lock in (FREE, LEFT, UNKNOWN)),
    ],
)
def test_the_lock_and_the_trials_tell_how_a_sweep_stands(
    lock: LockState, events: tuple[SweepEvent, ...], state: str
) -> None:
    assert found(lock, SweepStarted(trials=2, time=0.0), *events).state == state


def test_a_session_is_told_apart_from_the_ones_before() -> None:
    sweep = found(
        HELD,
        SweepStarted(trials=1, time=0.0),
        began(0, 10.0),
        ticked(0, 64, 20.0),
        CheckpointSaved(number=0, images_seen=64, path="c", value=1.0, time=20.0),
        ticked(0, 128, 30.0),
        ended(0, "interrupted", 40.0),
        SweepStarted(resumed=True, trials=3, time=100.0),
        began(0, 110.0, attempt=1),
        ticked(0, 128, 120.0),
        ticked(0, 192, 130.0),
        StateConfirmed(number=0, path="c", metric="swd", value=1.0, noise=0.1, time=170.0),
    )
    assert sweep.trained_until == 130.0, "what is measured again trains nothing"
    assert (sweep.sessions, sweep.session_started, sweep.trained_since) == (2, 100.0, 110.0)
    assert (sweep.last_event, sweep.images_before, sweep.num_trials) == (170.0, 128, 3)
    assert sweep.has_state


def test_before_the_first_event_nothing_is_known() -> None:
    sweep = found(FREE)
    assert (sweep.session_started, sweep.trained_since, sweep.last_event) == (None, None, None)
    assert sweep.num_trials == 2 and not sweep.has_state


def test_the_objective_is_named_as_in_the_ticks() -> None:
    def named(**metrics: float) -> str:
        tick = Tick(number=0, trial_id="t", images_seen=64, metrics=metrics)
        return objective_name(EvaluationConfig(metric="fd_lite0"), collect([tick]))

    assert named(fd_lite0_1k_noise=1.0, fd_lite0_1k=2.0) == "fd_lite0_1k"
    assert named(fd_lite0=2.0) == named(other=1.0) == "fd_lite0"
    assert objective_name(EvaluationConfig(), {}) == EvaluationConfig().metric
    assert EvaluationConfig().key() == "fd_lite0_1k", "which imports PyTorch"
