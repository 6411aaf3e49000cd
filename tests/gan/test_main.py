"""The command line: help, wrong input in one line, and runs that are not resumed."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from common.storage.folder import Folder
from gan.__main__ import main
from gan.config import GanConfig
from gan.data.images import remember
from gan.data.loading import load_images
from gan.data.shapes import render_shapes
from gan.run_folder import Row, RunFolder

Drive = Callable[[GanConfig, Folder, int], list[Row]]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting Ray fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("Ray was started")

    monkeypatch.setattr("common.cluster.session.start_ray", refuse)


@pytest.mark.parametrize("command", [[], ["train"], ["describe"], ["sample"], ["export"], ["evaluate"]])
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
    ([], "Expected one of {train, describe, sample, export, evaluate, report, gallery}"),
    (["tarin"], "available subcommands: train, describe, sample"),
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
    (["sample", "runs/full", "--over-time", "64"], "--over-time must lie between 0 and 63"),
    (["sample", "runs/full", "--interpolation", "round"], "'round'"),
    (["export"], "CHECKPOINT"),
    (["export", "nowhere"], "nowhere"),
    (["export", "runs/full", "--out", "x.bin"], "--out must end in .onnx with --format onnx, not .bin"),
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
        ["describe", "nowhere"],
        ["export", "nowhere"],
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


def test_a_run_measures_features_by_default(
    tiny_config: GanConfig, tmp_path: Path, plain_driver: Drive
) -> None:
    config = tiny_config.with_values(
        {"evaluation.metric": GanConfig().evaluation.metric, "evaluation.metric_images": 40, "images": 1024}
    )
    rows = plain_driver(config, Folder(str(tmp_path / "run")), 1)
    assert rows[-1]["fd_lite0_40"] > rows[-1]["fd_lite0_40_noise"] > 0
    assert 0 <= rows[-1]["recall_lite0_40"] < rows[-1]["recall_lite0_40_noise"] <= 1


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
