"""The searcher and its study: what is reported to Optuna, across stops, failures, kills and resumes."""

import errno
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import ConcurrencyLimiter, Searcher

from common.errors import ConfigError
from common.storage.atomic import WriteError
from gan.config import GanConfig
from tune.config import Search
from tune.records.events import CheckpointSaved, SweepEvent, Tick, TrialEnded, TrialStarted
from tune.records.trial_records import Ending, collect
from tune.search.journal import JOURNAL_NAME, FileJournal
from tune.search.searcher import OptunaSearcher
from tune.search.study import LOST, SweepStudy, study_outcome
from tune.space.default import default_space
from tune.space.space import Choice, Float, Space, baseline
from tune.trial_keys import COMPLETE_KEY, NOMINAL_KEY

BASE = GanConfig(images=108, images_per_tick=12, batch=4)  # 9 ticks of 12 images
BUDGET = 108
SPACE = default_space()


@pytest.fixture
def memory_url() -> Iterator[str]:
    yield "memory://bucket/search"
    fsspec.filesystem("memory").store.clear()


def study_of(location: Path | str, **options: Any) -> SweepStudy:
    chosen = {"space": SPACE, "metric": "swd", "name": "sweep", "num_trials": 4} | options
    return SweepStudy(chosen.pop("space"), location=location, **chosen)


def searcher_of(study: SweepStudy) -> OptunaSearcher:
    return OptunaSearcher(study, metric="swd")


def result(images: int, value: float) -> dict[str, object]:
    return {NOMINAL_KEY: images, "done": True, COMPLETE_KEY: images >= BUDGET, "swd": value}


def stored(location: Path | str) -> list[optuna.trial.FrozenTrial]:
    """The trials as a second reader finds them, e.g. optuna-dashboard."""
    storage = optuna.storages.JournalStorage(FileJournal(Path(location) / JOURNAL_NAME))
    return list(optuna.load_study(study_name="sweep", storage=storage).trials)


def test_the_study_gets_the_true_end_of_every_trial(tmp_path: Path) -> None:
    searcher = searcher_of(study_of(tmp_path, num_trials=6))
    for name in "abcdef":
        searcher.suggest(name)
        searcher.on_trial_result(name, result(12, 5.0))
        searcher.on_trial_result(name, result(24, float("nan")))
    searcher.on_trial_complete("a", result(BUDGET, 2.0))
    searcher.on_trial_complete("b", result(36, 3.0))
    searcher.on_trial_complete("c", {"done": True, "failure": "the generator's loss is NaN"})
    searcher.on_trial_complete("d", error=True)
    searcher.on_trial_complete("e")
    searcher.on_trial_complete("f", result(BUDGET, float("inf")))
    a, b, c, d, e, f = stored(tmp_path)
    assert (a.state, a.value, a.intermediate_values) == (TrialState.COMPLETE, 2.0, {12: 5.0, BUDGET: 2.0})
    assert (b.state, b.value, b.intermediate_values) == (TrialState.PRUNED, 3.0, {12: 5.0, 36: 3.0})
    # not FAIL, which samplers ignore: they would propose such rates again
    assert (c.state, c.user_attrs["reason"]) == (TrialState.PRUNED, "the generator's loss is NaN")
    assert c.intermediate_values == {12: 5.0}
    assert (d.state, d.user_attrs["reason"]) == (TrialState.FAIL, "failed more often than allowed")
    assert (e.state, e.value) == (TrialState.PRUNED, 5.0)
    assert (f.state, f.user_attrs["reason"]) == (
        TrialState.PRUNED,
        "it diverged, or its last value is not finite",
    )
    assert [trial.user_attrs["tune_trial_id"] for trial in (a, b, c, d, e, f)] == list("abcdef")


def test_the_study_has_what_the_last_tick_says_of_patterns_and_burnt_pixels(tmp_path: Path) -> None:
    searcher = searcher_of(study_of(tmp_path))
    for name in "ab":
        searcher.suggest(name)
    artifacts = (("checkerboard", 3.5), ("burnt", 0.25), ("train_s", 1.0))
    searcher.on_trial_result("a", {**result(12, 5.0), "metrics": (("checkerboard", 9.0), ("burnt", 0.5))})
    searcher.on_trial_complete("a", {**result(BUDGET, 2.0), "metrics": artifacts})
    searcher.on_trial_complete("a", {**result(BUDGET, 2.0), "metrics": (("checkerboard", 1.0),)})
    searcher.on_trial_complete("b", {**result(BUDGET, 3.0), "metrics": (("burnt", float("nan")),)})
    a, b = stored(tmp_path)[:2]
    assert (a.user_attrs["checkerboard"], a.user_attrs["burnt"]) == (3.5, 0.25)
    assert not {"checkerboard", "burnt", "train_s"} & set(b.user_attrs)


def test_suggestions_are_flat_numbered_and_end_after_the_trials_asked_for(tmp_path: Path) -> None:
    searcher = searcher_of(study_of(tmp_path, first=baseline(SPACE, BASE)))
    first = searcher.suggest("a")
    assert first == {**baseline(SPACE, BASE), "number": 0}
    for expected, name in enumerate("bcd", start=1):
        suggestion = searcher.suggest(name)
        assert suggestion is not None and suggestion.pop("number") == expected == searcher.number_of(name)
        assert BASE.with_values(suggestion) != BASE
    assert searcher.suggest("e") is None, "Tune ends actors that a population needs once nothing is to come"
    assert searcher.number_of("e") is None
    searcher.on_trial_complete("e", result(12, 1.0))  # unknown: none of ours
    for name in "abcd":
        assert searcher.suggest("e") is None
        searcher.on_trial_complete(name, result(BUDGET, 1.0))
    assert searcher.suggest("e") == Searcher.FINISHED


def test_the_trial_after_a_finished_one_still_has_its_number(tmp_path: Path) -> None:
    searcher = searcher_of(study_of(tmp_path))
    searcher.suggest("a")
    for _ in range(2):
        searcher.on_trial_complete("a", result(BUDGET, 1.0))
        searcher.on_trial_result("a", result(BUDGET + 12, 0.5))
    assert searcher.number_of("a") == 0
    assert stored(tmp_path)[0].intermediate_values == {BUDGET: 1.0}


def test_values_that_a_retried_trial_repeats_are_ignored(tmp_path: Path) -> None:
    searcher = searcher_of(study_of(tmp_path))
    searcher.suggest("a")
    for images, value in ((12, 5.0), (24, 4.0), (12, 5.5), (24, 4.5), (36, 3.0)):
        searcher.on_trial_result("a", result(images, value))
    assert stored(tmp_path)[0].intermediate_values == {12: 5.0, 24: 4.0, 36: 3.0}


def test_no_more_trials_run_than_there_is_room_for_now(tmp_path: Path) -> None:
    room = [1]
    study = study_of(tmp_path)
    searcher = OptunaSearcher(study, metric="swd", max_running=lambda: room[0])
    assert searcher.suggest("a") is not None and searcher.suggest("b") is None
    room[0] = 2  # a node has joined
    assert searcher.suggest("b") is not None and searcher.suggest("c") is None
    searcher.on_trial_complete("a", result(BUDGET, 1.0))
    assert searcher.suggest("c") is not None
    room[0] = 1  # and left
    searcher.on_trial_complete("b", result(BUDGET, 1.0))
    assert searcher.suggest("d") is None


def test_it_works_under_tunes_limiter_and_leaves_nothing_to_pickle(tmp_path: Path) -> None:
    searcher = searcher_of(study_of(tmp_path))
    limiter = ConcurrencyLimiter(searcher, max_concurrent=1)
    assert limiter.suggest("a")["number"] == 0
    assert limiter.suggest("b") is None
    limiter.on_trial_complete("a", result(BUDGET, 1.0))
    assert limiter.suggest("b")["number"] == 1
    searcher.save_to_dir(str(tmp_path), "session")
    assert not list(tmp_path.glob("*.pkl"))
    assert pickle.loads(pickle.dumps(searcher)).metric == "swd"
    with pytest.raises(ConfigError, match="python -m tune resume"):
        searcher.restore("anywhere")


def test_two_sweeps_never_share_a_study(tmp_path: Path) -> None:
    study_of(tmp_path)
    with pytest.raises(ConfigError, match="the sweep sweep already exists; choose another --name"):
        study_of(tmp_path)
    with pytest.raises(ConfigError, match="that of the sweep, other, and holds sweep; name the right one"):
        study_of(tmp_path, name="other", known={})
    storage = optuna.storages.JournalStorage(FileJournal(tmp_path / JOURNAL_NAME))
    optuna.create_study(storage=storage, study_name="largest", direction="maximize")
    with pytest.raises(ConfigError, match="is to maximize its objective, not to minimize"):
        study_of(tmp_path, name="largest", known={})


def test_interrupted_trials_continue_first_with_number_values_and_checkpoint(tmp_path: Path) -> None:
    searcher = searcher_of(study_of(tmp_path))
    suggested = {name: searcher.suggest(name) or {} for name in "abc"}
    events: list[SweepEvent] = []
    for name, values in suggested.items():
        number = values.pop("number")
        events.append(TrialStarted(number=number, trial_id=name, values=values))
        events.append(Tick(number=number, trial_id=name, images_seen=12, metrics={"swd": 4.0}))
        searcher.on_trial_result(name, result(12, 4.0))
    events.append(CheckpointSaved(number=2, images_seen=12, path="c2", value=4.0))
    searcher.on_trial_complete("a", result(24, 4.0))
    events.append(TrialEnded(number=0, state="pruned"))
    searcher.interrupted = True
    searcher.on_trial_complete("b", result(12, 4.0))
    searcher.on_trial_complete("c", result(12, 4.0))
    assert [trial.state.name for trial in stored(tmp_path)] == ["PRUNED", "RUNNING", "RUNNING"]

    study = study_of(tmp_path, num_trials=5, known=collect(events))
    again = searcher_of(study)
    assert again.suggest("b2") == {**suggested["b"], "number": 1}
    assert again.suggest("c2") == {**suggested["c"], "number": 2, "restore": "c2"}
    more = [again.suggest("d"), again.suggest("e")]
    assert [values and values["number"] for values in more] == [3, 4]
    assert again.suggest("f") is None
    again.on_trial_result("c2", result(12, 9.0))
    again.on_trial_complete("c2", result(BUDGET, 1.0))
    trial = stored(tmp_path)[2]
    assert (trial.state, trial.value, trial.intermediate_values) == (
        TrialState.COMPLETE,
        1.0,
        {12: 4.0, BUDGET: 1.0},
    )
    assert trial.user_attrs["tune_trial_id"] == "c2"
    assert study.unlogged == []


def test_log_and_study_agree_again_whichever_the_driver_did_not_reach(tmp_path: Path) -> None:
    searcher = searcher_of(study_of(tmp_path, num_trials=5))
    for name in "abcde":
        searcher.suggest(name)
    storage = optuna.storages.JournalStorage(FileJournal(tmp_path / JOURNAL_NAME))
    optuna.load_study(study_name="sweep", storage=storage).ask()  # killed while its settings were drawn
    searcher.on_trial_complete("d", result(BUDGET, 2.5))  # in the study, not in the log
    events: list[SweepEvent] = [TrialStarted(number=number, trial_id="x") for number in (0, 1, 2, 3)]
    events += [
        Tick(number=0, trial_id="a", images_seen=12, metrics={"swd": 3.0}),
        Tick(number=0, trial_id="a", images_seen=BUDGET, metrics={"swd": 2.0}),
        TrialEnded(number=0, state="completed"),
        TrialEnded(number=1, state="failed", reason="NaN", own_fault=True),
        Tick(number=2, trial_id="c", images_seen=12, metrics={"swd": 3.0}),
        TrialEnded(number=2, state="pruned"),
    ]
    study = study_of(tmp_path, num_trials=5, known=collect(events))
    zero, one, two, _, four, five = stored(tmp_path)
    assert (zero.state, zero.value, zero.intermediate_values) == (
        TrialState.COMPLETE,
        2.0,
        {12: 3.0, BUDGET: 2.0},
    )
    assert (one.state, one.user_attrs["reason"]) == (TrialState.PRUNED, "NaN")
    assert (two.state, two.value) == (TrialState.PRUNED, 3.0)
    assert (five.state, five.user_attrs["reason"]) == (TrialState.FAIL, LOST)
    assert [(event.number, event.state, event.reason) for event in study.unlogged] == [
        (3, "completed", None),
        (5, "failed", LOST),
    ]
    # asked for, and stopped before it could start: it is not lost, and does not take another's place
    [waiting] = study.returning
    assert (waiting.number, waiting.values) == (4, four.params)
    resumed = searcher_of(study)
    suggestion = resumed.suggest("f")
    assert suggestion is not None and suggestion["number"] == 4
    assert resumed.suggest("g") is None
    resumed.on_trial_complete("f", result(BUDGET, 1.0))
    assert resumed.suggest("g") == Searcher.FINISHED


def test_values_that_a_population_changed_are_resumed_and_not_those_of_the_study(tmp_path: Path) -> None:
    study_of(tmp_path).ask()
    events: list[SweepEvent] = [
        TrialStarted(number=0, trial_id="a", values={"optimizer.generator_lr": 1e-4}),
        Tick(number=0, trial_id="a", images_seen=12, metrics={}, values={"optimizer.generator_lr": 3e-4}),
    ]
    suggestion = searcher_of(study_of(tmp_path, known=collect(events))).suggest("b")
    assert suggestion == {"optimizer.generator_lr": 3e-4, "number": 0}


@pytest.mark.parametrize("search", ["tpe", "gp", "random"])
def test_a_sampler_finds_the_good_region_and_repeats_with_its_seed(search: Search, tmp_path: Path) -> None:
    space = Space(
        {
            "optimizer.beta1": Float(0.0, 0.9),
            "balance.policy": Choice(("none", "loss")),
            "balance.loss_threshold": Float(0.1, 0.7, when={"balance.policy": ("loss",)}),
        }
    )

    def sweep(folder: Path) -> list[dict[str, Any]]:
        searcher = searcher_of(study_of(folder, space=space, num_trials=14, search=search, seed=3))
        asked = []
        for name in range(14):
            values = searcher.suggest(str(name)) or {}
            loss = (values["optimizer.beta1"] - 0.3) ** 2 + (values["balance.policy"] == "loss")
            searcher.on_trial_complete(str(name), result(BUDGET, loss))
            asked.append(values)
        assert searcher.suggest("more") == Searcher.FINISHED
        return asked

    first = sweep(tmp_path / "a")
    if search != "gp":
        assert first == sweep(tmp_path / "b")
    if search != "random":
        late = [abs(values["optimizer.beta1"] - 0.3) for values in first[8:]]
        assert min(late) < 0.1


def test_a_resumed_sweep_does_not_draw_the_same_trials_again(tmp_path: Path) -> None:
    study = study_of(tmp_path, search="random")
    asked = [study.ask() for _ in range(4)]
    for number in range(4):
        study.tell(number, study_outcome(Ending("completed"), 1.0))
    again = study_of(tmp_path, search="random", num_trials=8, known={})
    more = [again.ask() for _ in range(4)]
    rates = [values[1]["optimizer.generator_lr"] for values in [*asked, *more] if values]
    assert len(set(rates)) == 8
    assert again.ask() is None


def test_settings_that_are_proposed_again_get_a_seed_of_their_own_also_after_a_resume(tmp_path: Path) -> None:
    space = Space({"optimizer.beta1": Choice((0.5, 0.9))})
    study = study_of(tmp_path, space=space, num_trials=5, seed=3, first={"optimizer.beta1": 0.5})
    asked = [values for _, values in filter(None, (study.ask() for _ in range(6)))]
    again = study_of(tmp_path, space=space, num_trials=9, seed=3, known={})
    asked += [values for _, values in filter(None, (again.ask() for _ in range(9)))]
    assert len(asked) == 9
    for beta in (0.5, 0.9):
        same = [values for values in asked if values["optimizer.beta1"] == beta]
        assert [values.get("seed", 3) for values in same] == list(range(3, 3 + len(same)))
    assert sorted(
        int(trial.user_attrs["seed"]) for trial in stored(tmp_path) if "seed" in trial.user_attrs
    ) == sorted(values["seed"] for values in asked if "seed" in values)


def test_a_half_written_line_does_not_cost_the_study(tmp_path: Path) -> None:
    study_of(tmp_path).ask()
    with (tmp_path / JOURNAL_NAME).open("ab") as journal:
        journal.write(b'{"op_code": 4, "wor')  # as a full disk or a kill leaves it
    study = study_of(tmp_path, known={})
    study.ask()
    assert [trial.state.name for trial in stored(tmp_path)] == ["RUNNING", "RUNNING"]
    assert [trial.number for trial in study.returning] == [0]


def test_a_full_disk_is_one_clear_error_and_leaves_the_study_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path)
    study.ask()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(WriteError, match="cannot be written: No space left on device") as raised:
            study.report(0, 12, 1.0)
    assert "\n" not in str(raised.value)
    assert len(stored(tmp_path)) == 1


def test_a_lock_left_by_a_killed_driver_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from tune.search.journal import FileJournal\n"
        "journal = FileJournal(Path('runs/study.journal')); journal._lock.acquire()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, check=False
    )
    assert (tmp_path / "runs" / "study.journal.lock").exists()
    monkeypatch.setattr("tune.search.journal._LOCK_GRACE_S", 3)
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    begun = time.monotonic()
    study_of("runs").ask()
    assert time.monotonic() - begun < 15
    assert len(stored("runs")) == 1


def test_a_study_lies_at_a_url_of_the_sweep_or_in_a_database(memory_url: str, tmp_path: Path) -> None:
    for location, url in ((memory_url, None), (tmp_path, f"sqlite:///{tmp_path}/study.db")):
        study = study_of(location, storage_url=url)
        searcher = searcher_of(study)
        searcher.suggest("a")
        searcher.on_trial_complete("a", result(BUDGET, 1.0))
        searcher.suggest("b")
        study.flush()  # as before every upload of the event log
        events: list[SweepEvent] = [
            TrialStarted(number=0, trial_id="a"),
            TrialEnded(number=0, state="completed"),
        ]
        again = study_of(location, storage_url=url, known=collect(events), num_trials=3)
        assert [trial.number for trial in again.returning] == [1]
        asked = again.ask()
        assert asked is not None and asked[0] == 2
    assert not (tmp_path / JOURNAL_NAME).exists()


def test_a_storage_url_that_cannot_be_opened_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened") as raised:
        study_of(tmp_path, storage_url="nosuch://x")
    assert "\n" not in str(raised.value)


def test_what_only_the_log_has_is_stored_at_steps_that_all_batches_share(tmp_path: Path) -> None:
    study_of(tmp_path).ask()
    events: list[SweepEvent] = [
        TrialStarted(number=0, trial_id="a"),
        Tick(number=0, trial_id="a", images_seen=15, metrics={"swd": 5.0}),  # of batches of 5
        Tick(number=0, trial_id="a", images_seen=25, metrics={"swd": 4.0}),
    ]
    study_of(tmp_path, known=collect(events), step_of=BASE.nominal_images)
    assert stored(tmp_path)[0].intermediate_values == {12: 5.0, 24: 4.0}
