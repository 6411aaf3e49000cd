"""Sweeps from Python: read while they run, in a folder or at a URL, without writing; started with checks."""

import io
import re
import shutil
import signal
import subprocess
import sys
import types
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import optuna
import pandas as pd
import pytest
from PIL import Image

import gan
import tune
from common.cli.signals import Interrupted
from common.errors import ConfigError
from tests.tune.sweeps import RATE, rates, tiny_gan
from tune.driver.plan import SweepPlan
from tune.driver.stopping import SweepError
from tune.records.events import CheckpointSaved, EventLog, StateConfirmed, Tick, TrialEnded, TrialStarted
from tune.records.grids import grid_name
from tune.records.sweep_folder import SweepFolder
from tune.records.tables import history_table, trials_table
from tune.records.trial_records import Trial, collect
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


# --- starting one


class Started:
    """Stands for the driver: notes the plan, and does what it is told."""

    def __init__(self) -> None:
        self.plans: list[SweepPlan] = []
        self.raises: BaseException | None = None

    def __call__(self, plan: SweepPlan, view: object) -> dict[int, Trial]:
        self.plans.append(plan)
        plan.folder.begin(plan.config, plan.space, is_resumed=False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as after a signal that was deferred
        if self.raises is not None:
            raise self.raises
        return {}

    @property
    def plan(self) -> SweepPlan:
        [plan] = self.plans
        return plan


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """The driver's stand-in; sweeps are below `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    driver, before = Started(), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("tune.driver.sweep.run_sweep", driver)
    yield driver
    signal.signal(signal.SIGINT, before)


def test_keywords_are_the_flags_of_the_command(started: Started, tmp_path: Path, capsys: Capture) -> None:
    sweep = tune.run(
        name="x",
        trials=3,
        images_per_trial=5000,
        generator_lr=1e-4,
        download=False,
        stop_when=["diverged", "decayed"],
        time_budget="2h",
    )
    config = started.plan.config
    assert (config.trials, config.gan.images, config.time_budget) == (3, 5000, "2h")
    assert (config.gan.optimizer.generator_lr, config.gan.stopping.when) == (1e-4, "diverged,decayed")
    assert sweep.location == f"{tmp_path}/runs/x" and sweep.config == config
    assert f"results: {tmp_path}/runs/x" in capsys.readouterr().out


def test_settings_override_a_config_and_quiet_says_nothing(started: Started, capsys: Capture) -> None:
    config = tune.SweepConfig(gan=tiny_gan(), trials=7, time_budget="2h", name="x")
    tune.run(config, trials=5, time_budget=None, quiet=True)
    assert started.plan.config.gan == tiny_gan() and started.plan.config.trials == 5
    assert started.plan.config.time_budget is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("form", ["space", "mapping", "file"])
def test_a_space_is_an_object_a_mapping_or_a_file(started: Started, form: str, tmp_path: Path) -> None:
    domains = {"batch": tune.Choice((32, 64)), RATE: tune.Float(1e-5, 1e-3, log=True)}
    (tmp_path / "space.toml").write_text(
        f"[batch]\nvalues = [32, 64]\n[{RATE}]\nlow=1e-5\nhigh=1e-3\nlog=true\n"
    )
    forms = {"space": tune.Space(domains), "mapping": domains, "file": tmp_path / "space.toml"}
    tune.run(space=forms[form], name="x", quiet=True)  # type: ignore[arg-type]
    assert dict(started.plan.space) == domains


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"trials": 0}, "--trials must be at least 1, not 0"),
        ({"trails": 3}, "--trails"),
        ({"data": "/does/not/exist"}, "/does/not/exist"),
        ({"config": {"trials": 3}}, "not a dict; try tune.run(**settings)"),
        ({"config": "runs/x"}, "not a str; try tune.run("),
        ({"space": {"optimizer.lr": tune.Float(0.1, 1.0)}}, "optimizer.lr"),
        ({"space": "/does/not/exist.toml"}, "--space /does/not/exist.toml cannot be read"),
        ({"print_space": True}, "print_space has no meaning here"),
        ({"scheduler": "pbt", "search": "gp"}, "--search gp has no effect with --scheduler pbt"),
        ({"name": "taken"}, "already holds a sweep; choose another --name"),
    ],
)
def test_a_wrong_setting_is_one_line_before_anything_is_started(
    started: Started, settings: dict[str, object], says: str
) -> None:
    SweepFolder("runs", "taken").begin(tune.SweepConfig(), SPACE, is_resumed=False)
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        tune.run(**settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value) and started.plans == []


def test_ctrl_c_is_a_keyboard_interrupt_that_says_how_to_go_on(started: Started, capsys: Capture) -> None:
    started.raises = Interrupted(signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="stopped by Ctrl-C"):
        tune.run(name="x")
    assert signal.getsignal(signal.SIGINT) is before, "the next cell of a notebook can be stopped too"
    assert f"resume with python -m tune resume {Path.cwd()}/runs/x" in capsys.readouterr().out


def test_a_sweep_that_cannot_continue_is_one_line_with_its_remedy(started: Started, capsys: Capture) -> None:
    started.raises = SweepError("no worker is left: lost")
    with pytest.raises(SweepError, match=r"no worker is left: lost; resume with python -m tune resume"):
        tune.run(name="x", quiet=True)
    assert capsys.readouterr() == ("", "")
