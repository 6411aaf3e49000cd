"""Sweeps started from Python: settings checked first, signals and failures as from the command line."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import tune
from common.cli.signals import Interrupted
from common.errors import ConfigError
from tests.tune.sweeps import RATE, rates, tiny_gan
from tune.driver.plan import SweepPlan
from tune.driver.stopping import SweepError
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial

Capture = pytest.CaptureFixture[str]
SPACE = rates()


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
