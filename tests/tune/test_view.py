"""What a sweep says in a terminal and elsewhere."""

import io

from rich.console import Console

from tests.tune.sweeps import RATE, rates
from tune.events import Event, Tick, TrialEnded, TrialStarted
from tune.trials import Trial, collect
from tune.view import SweepView


def tick(number: int, images: int, swd: float) -> Tick:
    numbers = {"swd": swd, "swd_noise": 5.0}
    return Tick(number=number, trial_id=f"t{number}", images_seen=images, numbers=numbers)


def trials(*events: Event) -> dict[int, Trial]:
    starts = [TrialStarted(number=number, trial_id=f"t{number}", values={RATE: 1e-4}) for number in range(3)]
    return collect([*starts, *events])


def shown(known: dict[int, Trial], *, refresh: bool = False) -> str:
    out = io.StringIO()
    view = SweepView(Console(file=out, width=100), rates(), "swd", num_trials=4)
    with view.live():
        if refresh:
            view.refresh(known)
            view.refresh(known)
    view.finish(known)
    return out.getvalue()


def test_elsewhere_each_trial_that_ends_is_told_once_with_its_best_and_its_reason() -> None:
    known = trials(
        tick(0, 64, 9.0),
        tick(0, 128, 7.0),
        TrialEnded(number=0, state="completed"),
        TrialEnded(number=1, state="failed", reason="a loss is nan"),
    )
    lines = shown(known, refresh=True).splitlines()
    assert lines.count("trial 0 completed swd 7") == 1
    assert lines.count("trial 1 failed: a loss is nan") == 1
    assert not any(line.startswith("trial 2") for line in lines)


def test_the_summary_counts_states_and_names_the_noise() -> None:
    known = trials(tick(0, 64, 9.0), TrialEnded(number=0, state="pruned"), tick(1, 32, 8.0))
    last = shown(known).splitlines()[-1]
    assert last.startswith("3 of 4 trials: 1 pruned, 2 running; ")
    assert "noise of swd (real against real) 5" in last and "left" in last
