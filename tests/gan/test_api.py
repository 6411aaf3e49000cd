"""GANs from Python: a trained one loaded, sampled, measured; errors in one line; Ctrl-C as Python's own."""

import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import gan
from common.cli.signals import Interrupted
from common.cli.terminal import Terminal
from common.errors import ConfigError
from common.storage.folder import Folder
from gan.cli.flags import Train
from gan.cli.sample import check_grid
from gan.cli.train import PlannedRun, Progress, RunError, run_train
from gan.config import GanConfig
from gan.generation import load_trained, random_latents, sample
from gan.raytrain.events import Ended
from gan.run_folder import Row
from gan.training.health import HEALTHY, TROUBLES

Capture = pytest.CaptureFixture[str]
PlainRun = tuple[Folder, list[Row]]


def test_a_loaded_gan_gives_the_images_of_the_command(plain_run: PlainRun, tiny_config: GanConfig) -> None:
    folder, _ = plain_run
    trained = gan.load(folder.location)
    assert trained.config == tiny_config
    generator, config = load_trained(folder.location)
    expected = sample(generator, random_latents(config, 5, 3), config)
    np.testing.assert_array_equal(trained.sample(5, seed=3), expected)
    assert expected.shape == (5, 16, 16, 3) and expected.dtype == np.uint8
    np.testing.assert_array_equal(trained.sample(2, seed=3), expected[:2])
    assert repr(trained) == f"TrainedGan({folder.location}: 16 x 16 pixels of shapes)"


def test_a_grid_is_a_picture_and_a_notebook_shows_one(plain_run: PlainRun) -> None:
    trained = gan.load(plain_run[0].location)
    picture = trained.grid(4, seed=1)
    assert picture.size == (258, 258)  # 2 x 16 x 8 pixels and a gap
    first = np.asarray(picture)[: 16 * 8 : 8, : 16 * 8 : 8]
    np.testing.assert_array_equal(first, trained.sample(1, seed=1)[0])
    assert trained._repr_png_().startswith(b"\x89PNG")


def test_a_grid_that_few_programs_open_is_refused_by_the_name_of_the_argument() -> None:
    with pytest.raises(ConfigError, match=r"n 100000 images of 32 pixels .* 10,778 pixels .* call sample$"):
        check_grid(100_000, 32, "n", "ask for fewer, or call sample")


def test_the_history_has_the_rows_of_the_run_and_its_verdicts(plain_run: PlainRun) -> None:
    folder, rows = plain_run
    history = gan.load(folder.location).history
    assert history["images_seen"].tolist() == [int(row["images_seen"]) for row in rows]
    assert history["images_seen"].dtype == "int64" and history["swd"].tolist() == [row["swd"] for row in rows]
    assert history["verdict"].cat.categories.tolist() == [HEALTHY, *TROUBLES]
    file = gan.load(folder.path("generator.safetensors"))
    with pytest.raises(ConfigError, match=r"give the folder of a run to gan\.load"):
        _ = file.history


def test_an_evaluation_is_a_table_of_measures_beside_their_noise_floors(
    plain_run: PlainRun, capsys: Capture
) -> None:
    found = gan.load(plain_run[0].location).evaluate(images=32, quiet=True)
    assert {"fd_compact_32", "recall_compact_32", "checkerboard"} <= set(found.index)
    assert found["value"].notna().all() and found["noise_floor"].notna().all()
    assert found.loc["fd_compact_32", "reading"] == "lower is better"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda trained: trained.sample(0), "n must be a whole number between 1 and 100000, not 0; try 64"),
        (lambda trained: trained.sample("a"), "n must be a whole number between 1 and 100000, not 'a'"),
        (lambda trained: trained.sample(2.5), "n must be a whole number between 1 and 100000, not 2.5"),
        (lambda trained: trained.sample(True), "n must be a whole number between 1 and 100000, not True"),
        (lambda trained: trained.sample(1, seed=-1), "seed must be a whole number between 0 and"),
        (lambda trained: trained.grid(None), "n must be a whole number between 1 and 100000, not None"),
        (lambda _: gan.train({"batch": 64}), "not a dict; try gan.train(**settings)"),
        (lambda _: gan.train("paintings"), "not a str; try gan.train(batch=64)"),
        (lambda trained: trained.evaluate(images=1), "--images must lie between 16"),
        (lambda trained: trained.evaluate(pictures=1), "--pictures"),
        (lambda _: gan.load("nowhere"), "nowhere has no generator.safetensors"),
        (lambda _: gan.train(batch=1), "--batch must be at least 2, not 1"),
        (lambda _: gan.train(loss="hinges"), "'hinges'"),
        (lambda _: gan.train(data="nowhere"), "nowhere"),
        (lambda _: gan.train(gpu=True, no_gpu=True), "exclude each other"),
        (lambda _: gan.train(resume="nowhere"), "nowhere"),
    ],
)
def test_what_is_wrong_is_one_line(call: object, says: str, plain_run: PlainRun) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        call(gan.load(plain_run[0].location))  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_training_takes_a_config_and_the_flags_of_the_command(
    plain_run: PlainRun, tiny_config: GanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[PlannedRun, object]] = []
    monkeypatch.setattr("gan.cli.train.train_plan", lambda plan, command, _: asked.append((plan, command)))
    with pytest.raises(ConfigError, match=r"x has no generator\.safetensors"):  # the stand-in trains nothing
        gan.train(tiny_config, storage=str(tmp_path), name="x", generator_lr=1e-3, workers=2)
    [(plan, _)] = asked
    assert plan.config == tiny_config.with_values({"optimizer.generator_lr": 1e-3})
    assert (plan.workers, plan.results.folder.location) == (2, f"{tmp_path}/x")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(Interrupted(signal.SIGINT), KeyboardInterrupt), (RunError("the loss is nan", "diverged"), RunError)],
)
def test_what_ends_a_training_early_is_raised_and_signals_are_as_before(
    raised: BaseException,
    expected: type[BaseException],
    tiny_config: GanConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as after a signal that was deferred
        raise raised

    monkeypatch.setattr("gan.cli.train.train_plan", stop)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(expected, match=re.escape(str(raised))):
        gan.train(tiny_config, storage=str(tmp_path))
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (Ended("finished", ""), 0, "finished: best swd"),
        (
            Ended("failed", "the worker is gone"),
            1,
            "failed: the worker is gone; resume with python -m gan train",
        ),
        (Ended("diverged", "a loss is nan"), 1, "diverged: a loss is nan; the last good state is kept in"),
        (Interrupted(signal.SIGINT), 130, "stopped by Ctrl-C; every finished tick is saved; resume with"),
    ],
)
def test_a_training_s_end_is_an_exit_code_and_a_line_of_the_command(
    outcome: Ended | BaseException,
    code: int,
    said: str,
    tiny_config: GanConfig,
    plain_run: PlainRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    def train(plan: PlannedRun, _: object, __: object, progress: Progress) -> None:
        shutil.copytree(plain_run[0].location, plan.results.folder.location, dirs_exist_ok=True)
        progress.has_begun = True
        if isinstance(outcome, BaseException):
            raise outcome
        progress.ended = outcome

    monkeypatch.setattr("gan.cli.train._train", train)
    command = Train(gan=tiny_config, storage=str(tmp_path), name="x")
    assert run_train(command, Terminal()) == code
    shown = capsys.readouterr()
    assert said in (shown.err if code == 1 else shown.out)
    assert code == 1 or shown.err == ""
