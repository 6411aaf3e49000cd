"""Trials as the event log describes them."""

from tune.records.trial_records import Checkpoint, Trial, surplus_checkpoints


def test_a_trial_keeps_its_best_and_its_last_state_and_what_others_need() -> None:
    values = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 4.0, "e": 5.0}
    saved = [
        Checkpoint(path=name, images_seen=64 * place, value=value)
        for place, (name, value) in enumerate(values.items())
    ]
    trials = {0: Trial(number=0, checkpoints=saved), 1: Trial(number=1)}
    assert surplus_checkpoints(trials, set()) == ["a", "c", "d"]
    assert surplus_checkpoints(trials, {"c"}) == ["a", "d"]
