"""The study's journal in an object store: how often it is uploaded, and that it is never behind the log."""

import uuid
from pathlib import Path

import optuna
import pytest

from common.errors import ConfigError
from common.storage.append_log import AppendedLines
from common.storage.folder import Folder
from tune.records.event_reading import read_events
from tune.records.events import EventLog, TrialStarted
from tune.records.trial_records import Ending
from tune.search.journal import JOURNAL_NAME, ObjectJournal, StudyStorage, name_of_study
from tune.search.searcher import OptunaSearcher
from tune.search.study import SweepStudy, study_outcome
from tune.space.space import Choice, Float, Space

RATE = "optimizer.generator_lr"
SPACE = Space({RATE: Float(1e-5, 1e-3, log=True)})


def study_of(location: Path | str, space: Space = SPACE, **settings: object) -> SweepStudy:
    return SweepStudy(
        space, metric="swd", name="sweep", location=location, num_trials=500, search="random", **settings
    )  # type: ignore[arg-type]


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are uploaded from now on."""
    written: list[str] = []
    write = Folder.write

    def note(folder: Folder, name: str, data: bytes) -> None:
        written.append(name)
        write(folder, name, data)

    monkeypatch.setattr(Folder, "write", note)
    return written


def test_the_journal_is_not_uploaded_at_each_suggestion_and_end(uploads: list[str]) -> None:
    study = study_of(f"memory://{uuid.uuid4().hex}/sweep")
    searcher = OptunaSearcher(study, metric="swd")
    uploads.clear()
    for number in range(200):
        searcher.suggest(f"t{number}")
        study.tell(number, study_outcome(Ending("completed"), 1.0))
    assert uploads == [], "200 trials within the first seconds"
    study.flush()
    study.flush()
    assert uploads == [JOURNAL_NAME]


def test_a_journal_that_takes_long_to_upload_is_uploaded_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now, seconds = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    folder = Folder(f"memory://{uuid.uuid4().hex}/sweep")

    def slow(name: str, data: bytes) -> None:
        seconds.append(now[0])
        now[0] += 10.0

    journal = ObjectJournal(folder)
    journal._throttle._clock = lambda: now[0]
    monkeypatch.setattr(folder, "write", slow)
    while now[0] < 2000:
        journal.append_logs([{"x": 1}])
        now[0] += 1.0
    assert len(seconds) * 10 <= 0.06 * now[0], "at most a twentieth of the time"


def test_the_journal_in_the_store_knows_every_trial_that_the_log_in_the_store_names(
    uploads: list[str],
) -> None:
    location = f"memory://{uuid.uuid4().hex}/sweep"
    study = study_of(location)
    with EventLog(location, seconds_between_writes=0.0) as log:
        log.before_upload = study.flush
        for number in range(5):
            asked = study.ask()
            assert asked is not None
            log.record(TrialStarted(number=number, trial_id=f"t{number}"))
            logged = {event.number for event in read_events(location) if isinstance(event, TrialStarted)}
            known = {trial.number for trial in optuna_trials(location)}
            assert logged == known == set(range(number + 1))
    assert uploads.index(JOURNAL_NAME) < uploads.index("events.jsonl")


def optuna_trials(location: str) -> list[optuna.trial.FrozenTrial]:
    return list(optuna.load_study(study_name="sweep", storage=StudyStorage(location).storage).trials)


def test_a_log_that_was_abandoned_uploads_nothing_more() -> None:
    folder = Folder(f"memory://{uuid.uuid4().hex}/sweep")
    with AppendedLines(folder, "log", remedy="", seconds_between_writes=0.0) as log:
        log.append(b"one\n")
        log.abandon()
        log.append(b"two\n")
        log.flush()
    assert folder.read("log") == b"one\n"


def test_the_study_of_an_earlier_version_is_found_whatever_its_folder_is_called_now(tmp_path: Path) -> None:
    study_of(tmp_path)
    storage = StudyStorage(tmp_path)
    assert name_of_study(storage, ["renamed", "renamed"], is_shared=False) == "sweep"
    assert name_of_study(storage, ["renamed", "sweep"], is_shared=True) == "sweep"
    assert name_of_study(storage, ["renamed"], is_shared=True) == "renamed", "it could be another sweep's"


def test_a_space_that_was_changed_by_hand_is_refused_before_optuna_stumbles_over_it(tmp_path: Path) -> None:
    study_of(tmp_path, Space({RATE: Choice((1e-4, 2e-4))})).ask()
    wider = Space({RATE: Choice((1e-4, 2e-4, 3e-4))})
    with pytest.raises(ConfigError, match=rf"another domain for {RATE}") as caught:
        study_of(tmp_path, wider, known={})
    assert "\n" not in str(caught.value)
    other = tmp_path / "range"
    study_of(other).ask()
    assert study_of(other, Space({RATE: Float(1e-6, 1e-2, log=True)}), known={}).ask() is not None
    with pytest.raises(ConfigError, match="another domain"):
        study_of(other, Space({RATE: Float(1e-5, 1e-3)}), known={})


def test_a_sweep_that_was_stopped_before_it_had_a_study_can_be_resumed(tmp_path: Path) -> None:
    StudyStorage(tmp_path)  # an empty journal
    study = study_of(tmp_path, known={}, first={RATE: 2e-4})
    assert study.ask() == (0, {RATE: 2e-4})
