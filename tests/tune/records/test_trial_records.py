"""Trials as the event log describes them."""

from tune.records.events import StateConfirmed, Tick, TrialStarted
from tune.records.trial_records import (
    Checkpoint,
    Trial,
    collect,
    failed_winner,
    states_best_first,
    surplus_checkpoints,
)


def test_a_trial_keeps_its_best_and_its_last_state_and_what_others_need() -> None:
    values = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 4.0, "e": 5.0}
    saved = [
        Checkpoint(path=name, images_seen=64 * place, value=value)
        for place, (name, value) in enumerate(values.items())
    ]
    trials = {0: Trial(number=0, checkpoints=saved), 1: Trial(number=1)}
    assert surplus_checkpoints(trials, set()) == ["a", "c", "d"]
    assert surplus_checkpoints(trials, {"c"}) == ["a", "d"]


def test_a_member_that_copies_another_has_its_settings_and_none_of_its_own() -> None:
    own = {"balance.policy": "loss", "balance.loss_threshold": 0.4}
    copied = {"balance.policy": "accuracy", "balance.accuracy_threshold": 0.9}
    ticks = [
        Tick(number=1, trial_id="a", images_seen=64 * place, metrics={"swd": 1.0}, values=values)
        for place, values in enumerate((own, copied, None), start=1)
    ]
    trial = collect([TrialStarted(number=1, trial_id="a", values=own), *ticks])[1]
    assert trial.values == copied
    assert [trial.values_at(images) for images in (64, 128, 192)] == [own, copied, copied]


def with_states(number: int, values: dict[str, float], again: dict[str, float]) -> Trial:
    saved = [
        Checkpoint(path=path, images_seen=place, value=value)
        for place, (path, value) in enumerate(values.items())
    ]
    confirmed = {
        path: StateConfirmed(number=number, path=path, metric="swd", value=value, noise=0.1)
        for path, value in again.items()
    }
    return Trial(number=number, checkpoints=saved, confirmed=confirmed)


def paths(*trials: Trial) -> list[str]:
    return [state.path for _, state in states_best_first(dict(enumerate(trials)))]


def test_the_best_states_are_ranked_by_what_they_were_measured_at_again() -> None:
    lucky = with_states(1, {"a": 1.0, "b": 5.0}, {"a": 4.0})
    steady = with_states(2, {"c": 2.0}, {"c": 3.0})
    base = with_states(0, {"d": 6.0}, {"d": 2.5})
    assert paths(lucky, steady) == ["c", "a", "b"]
    assert paths(lucky, steady, base) == ["c", "a", "b", "d"], "the baseline was not among the best"


def test_a_better_state_that_came_later_is_the_best_until_it_is_measured_again() -> None:
    earlier = [with_states(1, {"a": 2.0}, {"a": 4.0}), with_states(2, {"b": 3.0}, {"b": 3.5})]
    assert paths(*earlier) == ["b", "a"]
    assert paths(*earlier, with_states(3, {"c": 1.0}, {})) == ["c", "a", "b"]
    assert paths(*earlier, with_states(3, {"c": 1.0}, {"c": 3.8})) == ["b", "c", "a"]


def test_a_state_that_had_diverged_is_no_winner() -> None:
    base, garbage = with_states(0, {"base": 5.0}, {}), with_states(1, {"a": 7.0, "b": 2.0, "c": 1.0}, {})
    for images, (value, verdict) in enumerate(
        zip((7.0, 2.0, 1.0), ("healthy", *["diverged"] * 2), strict=True)
    ):
        tick = Tick(number=1, trial_id="t", images_seen=images, metrics={"swd": value}, verdict=verdict)
        garbage.ticks.append((0, tick))
    assert paths(base, garbage) == ["base", "a"]
    best = garbage.best_tick("swd")
    assert best is not None and best.images_seen == 0
    assert surplus_checkpoints({1: garbage}, set()) == ["b"], "its last state is kept for who looks into it"
    garbage.ticks = [(0, tick) for _, tick in garbage.ticks[1:]]
    garbage.checkpoints = garbage.checkpoints[1:]
    assert garbage.best_tick("swd") is None and paths(garbage) == []


def test_a_state_that_was_measured_again_is_kept_when_its_trial_finds_a_better_one() -> None:
    trial = with_states(1, {"a": 2.0, "b": 3.0, "c": 1.0, "d": 5.0}, {"a": 4.0})
    assert surplus_checkpoints({1: trial}, set()) == ["b"]


def test_a_winner_that_failed_later_is_named_with_its_reason() -> None:
    failed = with_states(1, {"a": 1.0}, {})
    failed.state, failed.own_fault, failed.reason = "failed", True, "the generator's loss is nan by step 44"
    steady = with_states(2, {"c": 2.0}, {})
    assert failed_winner({2: steady}) is None and failed_winner({}) is None
    line = failed_winner({1: failed, 2: steady})
    assert line is not None and "of trial 1 after 0 images" in line
    assert "later it failed: the generator's loss is nan by step 44" in line
    better = with_states(3, {"d": 0.5}, {})
    assert failed_winner({1: failed, 3: better}) is None, "the winner did not fail"
