"""What the dashboard answers, and that it changes nothing."""

import io
import json
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from PIL import Image

from common.errors import ConfigError
from common.storage.folder import Folder
from tests.tune.dashboard.conftest import SPACE, WrittenSweep, contents
from tune.config import SweepConfig
from tune.dashboard import grids, journal
from tune.dashboard.grids import GridArtifacts
from tune.dashboard.journal import ReadJournal
from tune.dashboard.server import App, read_only, study_view
from tune.dashboard.view import StudyView
from tune.records.sweep_folder import SweepFolder
from tune.search.journal import JOURNAL_NAME


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_DOWNLOADS", 0.0)
    monkeypatch.setattr(journal, "_SHARE_OF_TIME", 1.0)
    monkeypatch.setattr(grids, "SECONDS_BETWEEN_LISTINGS", 0.0)
    monkeypatch.setattr(grids, "_SHARE_OF_TIME", 1.0)


def view_of(sweep: WrittenSweep) -> tuple[StudyView, App]:
    from optuna_dashboard import wsgi

    artifacts = GridArtifacts(sweep.folder.files)
    view = study_view(sweep.folder, sweep.config, artifacts)
    return view, read_only(wsgi(view, artifact_store=artifacts))


def ask(app: App, path: str, method: str = "GET") -> tuple[str, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    path, _, query = path.partition("?")
    found: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": urllib.parse.unquote(path),
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(b"{}"),
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "2",
    }
    body = app(environ, lambda status, headers, *_: found.append((status, dict(headers))))
    data = b"".join(body)
    status, headers = found[0]
    return status.partition(" ")[0], headers, data


def detail(view: StudyView, app: App) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(ask(app, f"/api/studies/{view.study_id}")[2])
    return answer


def test_it_shows_the_study_with_the_grids_and_then_what_came_since(written: WrittenSweep) -> None:
    view, app = view_of(written)
    shown = detail(view, app)
    assert shown["name"] == "sweep" and shown["objective_names"] == ["fd_lite0_1k"]
    (trial,) = shown["trials"]
    assert trial["values"] == [3.0]
    assert [step["value"] for step in trial["intermediate_values"]] == [4.0]
    assert [each["filename"] for each in trial["artifacts"]] == ["1000 images.webp", "2000 images.webp"]
    place = f"/artifacts/{view.study_id}/{trial['trial_id']}/{trial['artifacts'][1]['artifact_id']}"
    status, headers, data = ask(app, place)
    assert (status, headers["Content-Type"]) == ("200", "image/webp")
    with Image.open(io.BytesIO(data)) as picture:
        assert np.asarray(picture).mean() == 200

    written.add_trial(2.0)
    assert [trial.value for trial in view.get_all_trials(view.study_id)] == [3.0, 2.0]
    assert len(view.get_trial_system_attrs(view.get_all_trials(view.study_id)[1]._trial_id)) >= 2


def test_nothing_can_be_changed_and_nothing_is_written(written: WrittenSweep, tmp_path: Path) -> None:
    before, on_disk = contents(written.folder.files), contents(Folder(str(tmp_path)))
    view, app = view_of(written)
    trial = detail(view, app)["trials"][0]["trial_id"]
    for method, path in (
        ("PUT", f"/api/studies/{view.study_id}/note"),
        ("DELETE", f"/api/studies/{view.study_id}"),
        ("POST", f"/api/trials/{trial}/user-attrs"),
        ("POST", "/api/studies"),
    ):
        status, _, body = ask(app, path, method)
        assert status == "403" and b"nothing can be changed" in body
    for change in (
        lambda: view.delete_study(view.study_id),
        lambda: view.set_trial_user_attr(trial, "note", "x"),
        lambda: view.create_new_trial(view.study_id),
        lambda: optuna.create_study(storage=view, study_name="other"),
    ):
        with pytest.raises(ConfigError, match="nothing can be changed"):
            change()
    assert contents(written.folder.files) == before
    assert contents(Folder(str(tmp_path))) == on_disk
    written.add_trial(1.0)  # the sweep goes on


def test_of_a_shared_database_only_the_study_of_the_sweep_is_shown(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    optuna.create_study(storage=url, study_name="another")
    _, app = view_of(WrittenSweep(str(tmp_path), url))
    studies = json.loads(ask(app, "/api/studies")[2])["study_summaries"]
    assert [study["study_name"] for study in studies] == ["sweep"]


def test_a_line_that_is_being_written_is_read_when_it_is_complete(tmp_path: Path) -> None:
    sweep = WrittenSweep(str(tmp_path))
    reader = ReadJournal(sweep.folder.files)
    count = len(list(reader.read_logs(0)))
    file = Path(sweep.folder.files.path(JOURNAL_NAME))
    line = file.read_bytes().splitlines()[-1]
    with file.open("ab") as journal_file:
        journal_file.write(line[:10])
        journal_file.flush()
        assert list(reader.read_logs(count)) == []
        journal_file.write(line[10:] + b"\n")
        journal_file.flush()
        assert list(reader.read_logs(count)) == [json.loads(line)]


def test_a_folder_without_a_study_is_one_line(tmp_path: Path) -> None:
    folder = SweepFolder(str(tmp_path), "sweep")
    config = SweepConfig(name="sweep", storage=str(tmp_path))
    folder.begin(config, SPACE, is_resumed=False)
    with pytest.raises(ConfigError, match=r"has no study: study\.journal is missing"):
        study_view(folder, config, GridArtifacts(folder.files))
    url = f"sqlite:///{tmp_path}/studies.db"
    optuna.create_study(storage=url, study_name="another")
    with pytest.raises(ConfigError, match="has no study named sweep in sqlite:"):
        study_view(folder, SweepConfig(name="sweep", study=url), GridArtifacts(folder.files))
