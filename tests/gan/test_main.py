"""The command line: help, wrong input in one line, stopped and killed drivers."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.cluster.session import usable_cpus
from common.errors import ConfigError
from common.storage.folder import Folder
from gan.__main__ import main
from gan.cli.inspect import check_grid
from gan.config import GanConfig
from gan.data.images import remember
from gan.data.loading import load_images
from gan.data.shapes import render_shapes
from gan.run_folder import Row, RunFolder, best_row
from gan.training.health import verdict
from tests.waiting import wait_for

Drive = Callable[[GanConfig, Folder, int], list[Row]]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting Ray fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("Ray was started")

    monkeypatch.setattr("common.cluster.session.start_ray", refuse)


@pytest.mark.parametrize("command", [[], ["train"], ["sample"], ["evaluate"]])
def test_every_command_explains_itself(command: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: python -m gan{' ' * bool(command)}{''.join(command)}")
    assert "None of" not in shown and len(shown.splitlines()) > 8


def test_every_setting_of_a_run_is_a_flag_of_train(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    flags = set(re.findall(r"--[a-z0-9-]+", shown))
    assert {"--data", "--resolution", "--generator-lr", "--loss", "--balance", "--metric", "--batch"} <= flags
    assert {
        "--workers",
        "--gpu",
        "--no-gpu",
        "--address",
        "--name",
        "--storage",
        "--config",
        "--resume",
    } <= flags


WRONG = [
    ([], "Expected one of {train, sample, evaluate}"),
    (["tarin"], "available subcommands: train, sample, evaluate"),
    (["train", "--bach", "4"], "perhaps you meant --batch"),
    (["train", "--batch"], "'--batch'"),
    (["train", "--batch", "many"], "--batch"),
    (["train", "--batch", "1"], "--batch must be at least 2, not 1; try 64"),
    (["train", "--loss", "hinges"], "'hinges'"),
    (["train", "--generator-lr", "nan"], "--generator-lr must be above 0"),
    (["train", "--resolution", "20"], "--resolution"),
    (["train", "--workers", "0"], "--workers must be at least 1, not 0"),
    (["train", "--workers", "3", "--batch", "64"], "--batch must be a multiple of the 3 workers"),
    (["train", "--workers", "100", "--batch", "400"], "--workers 100 needs a CPU each"),
    (["train", "--gpu", "--no-gpu"], "exclude each other"),
    (["train", "--name", "a/b"], "--name may have letters"),
    (["train", "--name", "full"], "holds a run already"),
    (["train", "--storage", ""], "--storage"),
    (["train", "--storage", "nosuch://x"], "--storage nosuch://x"),
    (["train", "--data", "nowhere"], "nowhere"),
    (["train", "--max-images", "60", "--batch", "64"], "--batch must be at most"),
    (["train", "--max-images", "100", "--held-out", "4", "--batch", "8"], "raise --held-out"),
    (["train", "--max-images", "12", "--batch", "8"], "must hold at least 16 pictures"),
    (["train", "--stop-when", "colapse"], "--stop-when may name diverged, "),
    (["train", "--stop-patience", "0"], "--stop-patience must be at least 1, not 0"),
    (["train", "--changed-data"], "--changed-data has no meaning without --resume"),
    (["train", "--metric-weights", "no.safetensors"], "neither a file nor shipped"),
    (["train", "--config", "nowhere.json"], "nowhere.json"),
    (["train", "--config", "text.json"], "text.json is not a JSON file"),
    (["train", "--config", "odd.json"], "colour of the sky"),
    (["train", "--config", "rule.json"], "rule.json: --batch must be at least 2"),
    (["train", "--resume", "nowhere"], "nowhere"),
    (["train", "--resume", "runs/full", "--name", "x"], "leave --config and --name out"),
    (["train", "--resume", "runs/full", "--width", "9"], "network.width"),
    (["sample"], "CHECKPOINT"),
    (["sample", "nowhere"], "nowhere"),
    (["sample", "runs/full", "--count", "0"], "--count must lie between"),
    (["sample", "runs/full", "--no-grid"], "leaves nothing to write"),
    (["sample", "runs/full", "--interpolate", "1"], "--interpolate must be 0"),
    (["evaluate", "text.safetensors"], "text.safetensors"),
    (["evaluate", "runs/full", "--images", "1000000"], "--images must lie between 16 and 100000"),
]


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize(("args", "message"), WRONG, ids=[" ".join(args) or "nothing" for args, _ in WRONG])
def test_wrong_input_is_one_line_and_exit_code_2_before_ray_starts(
    args: list[str],
    message: str,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    RunFolder(Folder("runs/full")).begin(GanConfig(), {"workers": 1})
    Path("text.json").write_text("hello")
    Path("text.safetensors").write_text("hello")
    Path("odd.json").write_text(json.dumps({"colour of the sky": "blue"}))
    Path("rule.json").write_text(json.dumps({"batch": 1}))
    assert main(args) == 2
    shown = capsys.readouterr()
    assert re.fullmatch(r"python -m gan: .+\n", shown.err), shown.err
    assert message in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    "args",
    [
        ["train", "--batch", "1"],
        ["train", "--data", "nowhere"],
        ["train", "--data", "cifar10", "--data-root", "nowhere"],
        ["train", "--workers", "3", "--batch", "64"],
        ["train", "--resume", "nowhere"],
        ["train", "--address", "nonsense"],
        ["train", "--address", "127.0.0.1:1"],
        ["sample", "nowhere"],
        ["evaluate", "nowhere"],
    ],
    ids=" ".join,
)
def test_what_can_be_known_without_torch_and_ray_is_reported_before_they_are_loaded(args: list[str]) -> None:
    code = (
        f"import sys; from gan.__main__ import main; code = main({args}); "
        "assert not {'torch', 'ray', 'torchvision'} & set(sys.modules); sys.exit(code)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 2


@pytest.mark.usefixtures("no_ray")
def test_a_finished_run_is_not_resumed_without_more_images(
    plain_run: tuple[Folder, list[Row]], capsys: Capture
) -> None:
    assert main(["train", "--resume", plain_run[0].location]) == 2
    assert "finished after 6144 images; raise --images" in capsys.readouterr().err


@pytest.mark.usefixtures("no_ray")
def test_a_run_that_was_stopped_for_its_verdict_is_not_resumed_to_stop_again(
    troubled_config: GanConfig, plain_driver: Drive, tmp_path: Path, capsys: Capture
) -> None:
    folder = Folder(str(tmp_path / "run"))
    plain_driver(troubled_config.with_values({"images": 4 * 512}), folder, 1)
    assert main(["train", "--resume", folder.location, "--images", "6144"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the run was stopped after 2048 images, discriminator_won: " in said
    assert "add --stop-when none to go on" in said


def test_evaluate_prints_what_the_best_tick_measured(
    plain_run: tuple[Folder, list[Row]], capsys: Capture
) -> None:
    folder, rows = plain_run
    assert main(["evaluate", folder.location, "--images", "40"]) == 0
    best = best_row(rows, "swd")
    line = capsys.readouterr().out
    assert f"the run it comes from: {verdict(rows, 'swd').name}: " in " ".join(line.split())
    assert line.startswith(
        f"swd {best['swd']:.4g} (noise floor {best['swd_noise']:.2g}) on 32 images of shapes"
    )


def test_evaluate_prints_every_measure_with_its_noise_floor(
    plain_run: tuple[Folder, list[Row]], capsys: Capture
) -> None:
    assert main(["evaluate", plain_run[0].location, "--images", "40", "--modes", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    measures = {each["name"].removesuffix("_compact_40"): each for each in printed["measures"]}
    assert set(measures) == {
        *("fd", "kid", "precision", "recall", "density", "coverage"),
        *("memorization", "duplicates", "modes_40", "kl_40"),
        *("checkerboard", "burnt", "fd_lite0_40"),
    }
    names = [each["name"] for each in printed["measures"]]
    assert names[:3] == ["fd_compact_40", "kid_compact_40", "fd_lite0_40"], "both networks beside each other"
    assert measures["fd_lite0_40"]["value"] > measures["fd_lite0_40"]["real"] > 0
    assert measures["checkerboard"]["real"] == pytest.approx(1, abs=0.3)
    assert -1 < measures["burnt"]["value"] < 1 and abs(measures["burnt"]["real"]) < 0.05
    assert measures["fd"]["value"] > measures["fd"]["real"] > 0
    assert measures["kid"]["standard_error"] > 0
    assert measures["coverage"]["real"] > 0.8
    assert 0 < printed["classifier_accuracy"] <= 1
    assert main(["evaluate", plain_run[0].location, "--images", "40", "--modes"]) == 0
    shown = capsys.readouterr().out
    assert all(each["name"] in shown for each in printed["measures"])


def test_evaluate_counts_no_modes_unless_asked_and_finds_the_best_of_a_sweep(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path, capsys: Capture
) -> None:
    best = tmp_path / "sweep" / "best"
    best.mkdir(parents=True)
    shutil.copy(plain_run[0].path("generator.safetensors"), best)
    (best / "trial.json").write_text(json.dumps({"verdict": "stalled", "verdict_evidence": "it stands"}))
    assert main(["evaluate", str(tmp_path / "sweep"), "--images", "40", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["classifier_accuracy"] is None and len(printed["measures"]) == 11
    assert (printed["verdict"], printed["verdict_evidence"]) == ("stalled", "it stands")
    assert main(["sample", str(tmp_path / "sweep"), "--out", str(tmp_path / "out"), "--count", "4"]) == 0
    assert (tmp_path / "out" / "grid.png").exists()


def test_evaluate_refuses_data_of_other_channels_with_a_remedy_that_works(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path, capsys: Capture
) -> None:
    for number in range(100):
        Image.new("L", (16, 16), 2 * number).save(tmp_path / f"{number:03}.png")
    args = ["evaluate", plain_run[0].location, "--data", str(tmp_path), "--images", "40"]
    assert main(args) == 2
    said = capsys.readouterr().err
    assert "makes images in colour" in said and "has pictures in grey" in said and "--colour rgb" in said
    assert main([*args, "--modes", "--colour", "rgb"]) == 2
    assert "--modes needs classes" in capsys.readouterr().err
    assert main([*args, "--colour", "rgb"]) == 0


def test_a_grid_that_nobody_could_open_is_refused_before_any_sample() -> None:
    check_grid(10_000, 64)
    with pytest.raises(ConfigError, match=r"a grid of 20,922 pixels a side.*--no-grid --singles"):
        check_grid(100_000, 64)


def test_a_run_measures_features_by_default(
    tiny_config: GanConfig, tmp_path: Path, plain_driver: Drive
) -> None:
    config = tiny_config.with_values(
        {"evaluation.metric": GanConfig().evaluation.metric, "evaluation.metric_images": 40, "images": 1024}
    )
    rows = plain_driver(config, Folder(str(tmp_path / "run")), 1)
    assert rows[-1]["fd_lite0_40"] > rows[-1]["fd_lite0_40_noise"] > 0
    assert 0 <= rows[-1]["recall_lite0_40"] < rows[-1]["recall_lite0_40_noise"] <= 1


def test_sample_writes_what_was_requested_and_the_same_seed_gives_the_same(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path
) -> None:
    location = plain_run[0].location
    for out in ("a", "b"):
        args = [
            "--out",
            str(tmp_path / out),
            "--count",
            "5",
            "--singles",
            "--interpolate",
            "3",
            "--seed",
            "9",
        ]
        assert main(["sample", location, *args]) == 0
    names = {"grid.png", "interpolation.gif", *(f"single/{index:04d}.png" for index in range(5))}
    files = {str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.*")}
    assert files == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with Image.open(tmp_path / "a" / "interpolation.gif") as gif:
        assert getattr(gif, "n_frames", 1) > 3 and gif.size == (16, 16)
    singles = [np.asarray(Image.open(tmp_path / "a" / f"single/{index:04d}.png")) for index in range(5)]
    assert all(single.shape == (16, 16, 3) for single in singles)


def start_train(config: GanConfig, folder: Path, *args: str) -> "subprocess.Popen[str]":
    """`python -m gan train` in a session of its own, as a terminal would start it."""
    file = folder / "wanted.json"
    file.write_text(json.dumps(config.to_dict()))
    new = ["--config", str(file), "--name", "run", "--storage", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-m", "gan", "train", *(args or new)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def processes_of(session: int) -> dict[int, str]:
    """The living processes of a session that a driver leads, with their command lines."""
    listed = subprocess.run(
        ["ps", "-ww", "-s", str(session), "-o", "pid=,stat=,args="], capture_output=True, text=True
    )
    lines = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return {int(pid): command for pid, state, command in lines if "Z" not in state}


def end_session(session: int) -> None:
    """Kill what a killed driver has left: Ray 2.60 leaves the two agents of its node for some minutes."""
    for pid in processes_of(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def long_config(tiny_config: GanConfig) -> GanConfig:
    """Long enough to be stopped on its way."""
    return tiny_config.with_values({"images": 40 * 512})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "exit_code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_stopped_driver_says_how_to_resume_and_leaves_nothing_running(
    signum: int, exit_code: int, name: str, long_config: GanConfig, tmp_path: Path
) -> None:
    driver = start_train(long_config, tmp_path)
    wait_for((tmp_path / "run" / "last.safetensors").exists)
    os.kill(driver.pid, signum)
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == exit_code, err
    assert out.splitlines()[-1] == (
        f"stopped by {name}; every finished tick is saved; resume with "
        f"python -m gan train --resume {tmp_path / 'run'}"
    )
    wait_for(lambda: not processes_of(driver.pid), timeout_s=30)


@pytest.mark.slow
def test_a_signal_while_ray_starts_is_one_line_and_leaves_nothing(
    long_config: GanConfig, tmp_path: Path
) -> None:
    driver = start_train(long_config, tmp_path)
    wait_for(lambda: "gcs_server" in str(processes_of(driver.pid)))
    os.kill(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert (driver.returncode, err) == (130, "python -m gan: stopped by Ctrl-C\n")
    assert not (tmp_path / "run").exists()
    wait_for(lambda: not processes_of(driver.pid), timeout_s=30)


@pytest.mark.slow
def test_a_killed_driver_loses_at_most_a_tick_and_changes_no_number(
    long_config: GanConfig, plain_driver: Drive, tmp_path: Path
) -> None:
    results = RunFolder(Folder(str(tmp_path / "run")))
    driver = start_train(long_config, tmp_path)
    wait_for(lambda: len(results.history()) >= 3)
    done = len(results.history())
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate(timeout=60)
    wait_for(lambda: "RayTrainWorker" not in str(processes_of(driver.pid)), timeout_s=30)
    end_session(driver.pid)

    resumed = start_train(long_config, tmp_path, "--resume", str(tmp_path / "run"))
    out, err = resumed.communicate(timeout=200)
    assert resumed.returncode == 0, err
    [begun] = re.findall(r"resuming from ([\d,]+) images", out)
    assert int(begun.replace(",", "")) >= done * 512
    rows = results.history()
    assert len(rows) == 40
    plain = plain_driver(long_config, Folder(str(tmp_path / "plain")), usable_cpus())
    names = ("images_seen", "swd", "generator_loss", "discriminator_loss", "accuracy_real", "accuracy_fake")
    assert [[row[name] for name in names] for row in rows] == [[row[name] for name in names] for row in plain]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:many", "ray://127.0.0.1:10001"])
def test_a_cluster_that_is_not_there_is_one_line_and_exit_code_2(
    address: str, tmp_path: Path, cache: Path
) -> None:
    args = ["--max-images", "240", "--held-out", "32", "--resolution", "16", "--batch", "16"]
    answer = subprocess.run(
        [sys.executable, "-m", "gan", "train", *args, "--cache-dir", str(cache), "--address", address],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert answer.returncode == 2
    assert re.fullmatch(rf"python -m gan: --address .*{address}.+\n", answer.stderr), answer.stderr


@pytest.mark.usefixtures("no_ray")
def test_a_run_whose_pictures_have_changed_is_not_resumed_in_silence(
    tiny_config: GanConfig,
    tmp_path: Path,
    plain_driver: Drive,
    capsys: Capture,
) -> None:
    for number, picture in enumerate(render_shapes(0, 40, resolution=16, seed=1)):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{number:02}.png")
    values = {"data.source": str(tmp_path / "pictures"), "data.max_images": None, "images": 512}
    config = tiny_config.with_values(values)
    run = Folder(str(tmp_path / "run"))
    plain_driver(config, run, 1)
    RunFolder(run).begin(config, {"workers": 1, "images": remember(load_images(config.data))})
    (tmp_path / "pictures" / "39.png").unlink()
    resume = ["train", "--resume", run.location, "--images", "1024"]
    assert main(resume) == 2
    said = capsys.readouterr().err
    assert "(7 held out instead of 8)" in said and "--changed-data" in said  # 39 pictures leave 32 as well

    for path in (tmp_path / "pictures").iterdir():
        Image.open(path).convert("L").save(path)
    assert main([*resume, "--changed-data"]) == 2
    assert "the pictures are grey, and the networks were made for ones that are in colour" in (
        capsys.readouterr().err
    )
