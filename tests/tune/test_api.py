"""Sweeps from Python: read while they run, in a folder or at a URL, without writing."""

import io
import re
import shutil
import subprocess
import sys
import types
import uuid
from pathlib import Path

import fsspec
import optuna
import pandas as pd
import pytest
from PIL import Image

import gan
import tune
from common.errors import ConfigError
from tests.tune.sweeps import RATE, rates, tiny_gan
from tune.records.events import CheckpointSaved, EventLog, StateConfirmed, Tick, TrialEnded, TrialStarted
from tune.records.grids import grid_name
from tune.records.sweep_folder import SweepFolder
from tune.records.tables import history_table, trials_table
from tune.records.trial_records import collect
from tune.search.study import SweepStudy
from tune.trial_keys import STATE_FILE

Capture = pytest.CaptureFixture[str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "sweep"
SPACE = rates()
EVENTS = [
    TrialStarted(number=0, trial_id="a", values={RATE: 1e-4}),
    Tick(number=0, trial_id="a", images_seen=64, metrics={"swd": 5.0}, verdict="healthy"),
    CheckpointSaved(number=0, images_seen=64, path="trial_0000/one", value=5.0),
    TrialEnded(number=0, state="completed"),
    TrialStarted(number=1, trial_id="b", values={RATE: 3e-4}),
    Tick(number=1, trial_id="b", images_seen=64, metrics={"swd": 3.0}),
    CheckpointSaved(number=1, images_seen=64, path="trial_0001/one", value=3.0),
]


def begun(storage: str, **settings: object) -> SweepFolder:
    """A sweep that has begun, with its first events and a study of one trial."""
    folder = SweepFolder(storage, "mine")
    config = tune.SweepConfig(gan=tiny_gan(), trials=4, **settings)  # type: ignore[arg-type]
    folder.begin(config, SPACE, is_resumed=False, study_name="mine")
    with EventLog(folder.location) as log:
        for event in EVENTS:
            log.record(event)
    study = SweepStudy(
        SPACE, metric="swd", name="mine", location=folder.location, num_trials=4, storage_url=config.study
    )
    assert study.ask() is not None
    study.flush()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return begun(str(tmp_path))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and the time of its last change."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def test_importing_loads_neither_torch_nor_ray_nor_pandas() -> None:
    code = "import sys, gan, tune; print(*{'torch', 'ray', 'pandas', 'optuna', 'tyro'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == []
    for package in (gan, tune):
        assert dir(package) == sorted(package.__all__)
        assert all(getattr(package, name) is not None for name in package.__all__)
        with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'lode'"):
            _ = package.lode


def test_tables_are_those_of_the_log_and_as_new_as_the_sweep(folder: SweepFolder) -> None:
    sweep = tune.load(folder.location)
    assert (sweep.objective, sweep.location, dict(sweep.space)) == ("swd", folder.location, dict(SPACE))
    pd.testing.assert_frame_equal(sweep.trials, trials_table(collect(EVENTS), SPACE, "swd"))
    pd.testing.assert_frame_equal(sweep.history, history_table(collect(EVENTS), SPACE))
    with EventLog(folder.location) as log:
        log.record(Tick(number=1, trial_id="b", images_seen=128, metrics={"swd": 2.0}))
    assert sweep.trials["best"].tolist() == [5.0, 2.0] and len(sweep.history) == 3


def test_the_grids_of_a_trial_are_pictures_by_images_seen(folder: SweepFolder) -> None:
    colours = {64: (200, 10, 10), 128: (10, 10, 200)}
    for images_seen, colour in colours.items():
        content = io.BytesIO()
        Image.new("RGB", (6, 4), colour).save(content, format="WEBP", lossless=True)
        folder.files.write(grid_name(1, images_seen), content.getvalue())
    sweep = tune.load(folder.location)
    found = sweep.grids(1)
    assert {images: picture.convert("RGB").getpixel((0, 0)) for images, picture in found.items()} == colours
    assert found[64].size == (6, 4) and sweep.grids(0) == {}
    with pytest.raises(ConfigError, match="number must be a whole number between 0"):
        sweep.grids("best")  # type: ignore[arg-type]


def test_nothing_is_written_while_a_sweep_is_read(folder: SweepFolder, tmp_path: Path) -> None:
    journal = tmp_path / "mine" / "study.journal"
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker')  # the sweep is writing its next line
    before = contents(tmp_path)
    sweep = tune.load(folder.location)
    sweep.best()
    _ = (sweep.trials, sweep.history, sweep.config, repr(sweep), sweep._repr_html_())
    study = sweep.study
    assert [trial.number for trial in study.trials] == [0]
    study.set_user_attr("note", "of mine")  # of the copy
    study.enqueue_trial({RATE: 1e-4})
    assert len(study.trials) == 2 and len(sweep.study.trials) == 1
    assert contents(tmp_path) == before


def test_a_sweep_at_a_url_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune.api.check_reachable", lambda *_, **__: None)
    try:
        folder = begun(f"memory://{uuid.uuid4().hex}")
        sweep = tune.load(f"{folder.location}/")
        assert sweep.trials["best"].tolist() == [5.0, 3.0]
        assert [trial.number for trial in sweep.study.trials] == [0]
        assert sweep.best().path == f"{folder.location}/trial_0001/one"
    finally:
        fsspec.filesystem("memory").store.clear()


def test_a_study_in_a_database_is_copied(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    folder = begun(str(tmp_path), study=url)
    study = tune.load(folder.location).study
    assert [trial.state.name for trial in study.trials] == ["RUNNING"]
    study.tell(0, 1.0)
    assert optuna.load_study(study_name="mine", storage=url).trials[0].state.name == "RUNNING"
    (tmp_path / "studies.db").unlink()
    with pytest.raises(ConfigError, match=r"the study's file .* is missing"):
        _ = tune.load(folder.location).study
    assert not (tmp_path / "studies.db").exists()


def test_a_sweep_without_a_study_yet_says_so(folder: SweepFolder, tmp_path: Path) -> None:
    (tmp_path / "mine" / "study.journal").unlink()
    with pytest.raises(ConfigError, match="has no study named mine yet"):
        _ = tune.load(folder.location).study
    assert not (tmp_path / "mine" / "study.journal").exists()


def test_the_best_is_the_state_with_the_lowest_value_and_after_the_end_the_one_measured_again(
    folder: SweepFolder, tmp_path: Path
) -> None:
    sweep = tune.load(folder.location)
    best = sweep.best()
    assert (best.number, best.images_seen, best.value, best.confirmed) == (1, 64, 3.0, None)
    assert best.path == f"{tmp_path}/mine/trial_0001/one"
    assert best.config == tiny_gan(seed=1).with_values({RATE: 3e-4}), "another seed: not its luck"
    with pytest.raises(ConfigError, match=f"has no {STATE_FILE}"):
        _ = best.gan
    with EventLog(folder.location) as log:
        for number, value in ((0, 2.0), (1, 4.0)):
            path = f"trial_000{number}/one"
            log.record(StateConfirmed(number=number, path=path, metric="swd", value=value, noise=0.5))
    best = sweep.best()
    assert (best.number, best.value, best.confirmed, best.noise_floor) == (0, 5.0, 2.0, 0.5)


def test_what_is_no_sweep_or_has_no_best_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no sweep"):
        tune.load(tmp_path)
    assert list(tmp_path.iterdir()) == []
    SweepFolder(str(tmp_path), "mine").begin(tune.SweepConfig(), SPACE, is_resumed=False)
    sweep = tune.load(tmp_path / "mine")
    with pytest.raises(ConfigError, match="no trial has saved a state yet"):
        sweep.best()
    assert sweep.trials.empty and sweep.history.empty
    assert repr(sweep) == f"Sweep({tmp_path}/mine: 0 of 20 trials: none yet)"
    assert "<table" in sweep._repr_html_()


def test_a_sweep_shows_itself_in_one_line_and_in_a_notebook_as_a_table(tmp_path: Path) -> None:
    folder = begun(f"{tmp_path}/<script>alert(1)")
    with EventLog(folder.location) as log:
        log.record(Tick(number=1, trial_id="b", images_seen=128, metrics={"swd": 2.0}))
    sweep = tune.load(folder.location)
    line = f"Sweep({folder.location}: 2 of 4 trials: 1 completed, 1 running; best swd 2 of trial 1)"
    assert repr(sweep) == line
    page = sweep._repr_html_()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert re.findall(r"<td>(\w+)</td>", page)[:3] == ["1", "1", "running"]


def test_a_report_is_written_for_the_sweep(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def write_report(locations: list[str], out: str | None = None) -> str:
        asked.append((locations, out))
        return out or "report.html"

    module = types.ModuleType("tune.report")
    module.write_report = write_report  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tune.report", module)
    sweep = tune.load(folder.location)
    assert (sweep.report(), sweep.report(Path("x.html"))) == ("report.html", "x.html")
    assert asked == [([folder.location], None), ([folder.location], "x.html")]


def test_a_sweep_that_was_renamed_has_its_study(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "renamed")
    assert len(tune.load(tmp_path / "renamed").study.trials) == 20
