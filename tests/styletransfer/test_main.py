"""The command line as a user meets it: help, wrong input in one line, a dry run; nothing is stylized here."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from styletransfer.__main__ import main
from styletransfer.commands import parse_command
from styletransfer.config import StyleConfig
from tests.styletransfer.folders import make_folders, quick, save

pytestmark = pytest.mark.usefixtures("cache")

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting Ray fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("Ray was started")

    monkeypatch.setattr("common.cluster.session.start_ray", refuse)


def test_every_setting_is_a_flag_in_the_help(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: python -m styletransfer [-h] [OPTIONS] CONTENTS STYLES OUT")
    flags = set(re.findall(r"--[a-z0-9-]+", shown))
    settings = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(StyleConfig)}
    own = {"--pairs", "--mask", "--format", "--quality", "--preview", "--sweep", "--dry-run", "--redo"}
    own |= {"--blend-folders", "--threads"}
    assert settings | own | {"--batch", "--workers", "--gpu", "--no-gpu", "--address"} <= flags


PLACES = ["photos", "paintings", "out"]
WRONG = [
    ([], "give CONTENTS STYLES OUT, not 0 places; try python -m styletransfer photos paintings out"),
    (["photos", "out"], "give CONTENTS STYLES OUT, not 2 places"),
    (["out", "--pairs", "nowhere.csv"], "--pairs nowhere.csv is not a file"),
    (["out", "other", "--pairs", "pairs.csv"], "give OUT, or CONTENTS STYLES OUT, not 2 places"),
    (["nowhere", "paintings", "out"], "CONTENTS"),
    (["photos", "nowhere", "out"], "STYLES"),
    (["photos", "empty", "out"], "STYLES empty holds no pictures"),
    (["photos", "", "out"], "a place must not be ''"),
    (["photos", "paintings", "photos"], "is also the output folder"),
    (["photos", "paintings", "photos/c0.png/out"], "cannot be written"),
    (["photos", "paintings", "nosuch://x"], "OUT nosuch://x"),
    ([*PLACES, "--siez", "64"], "perhaps you meant --size"),
    ([*PLACES, "--size"], "'--size'"),
    ([*PLACES, "--size", "8"], "--size must lie between 16 and 16384 pixels, not 8"),
    ([*PLACES, "--size", "16384", "--format", "webp"], "webp holds at most 16383 pixels"),
    ([*PLACES, "--style-weight", "nan"], "--style-weight"),
    ([*PLACES, "--optimizer", "sgd"], "'sgd'"),
    ([*PLACES, "--optimizer", "lbfgs", "--batch", "4"], "--batch 4 needs --optimizer adam"),
    ([*PLACES, "--style-blend", "1", "2"], "--style-blend must have one weight for each of the 1 styles"),
    ([*PLACES, "--style-layers", "relu9_9"], "--style-layers: the last tap must be one of relu1_1, "),
    ([*PLACES, "--content-layers", "relu9_9"], "--content-layers: the last tap must be one of relu1_1, "),
    (
        [*PLACES, "--style-layers", "relu1_9", "relu4_1"],
        "--style-layers: relu1_9 is not a layer of the network",
    ),
    (
        [*PLACES, "--scales", "0.5,2"],
        "--scales must be ascending shares of --size that end with 1, not 0.5 2.0",
    ),
    ([*PLACES, "--style-layers", "relu1_1,relu1_1"], "--style-layers must name layers, each once"),
    (["photos", "paintings", "result.png"], "is named like a picture, but the results are a folder; try"),
    ([*PLACES, "--gpu", "0"], "put CUDA_VISIBLE_DEVICES=0 before the command"),
    ([*PLACES, "--threads", "0"], "--threads must lie between 1 and 1024"),
    ([*PLACES, "--threads", "1000"], "--threads 1000 needs so many CPUs"),
    (
        [*PLACES, "--blend-folders", "--style-blend", "1", "2"],
        "paintings in STYLES: --style-blend must have one",
    ),
    ([*PLACES, "--weights", "nowhere.pth"], "nowhere.pth"),
    ([*PLACES, "--weights", "text.pth"], "text.pth"),
    ([*PLACES, "--format", "gif"], "'gif'"),
    ([*PLACES, "--quality", "0"], "--quality must lie between 1 and 100"),
    ([*PLACES, "--workers", "0"], "--workers must be at least 1"),
    ([*PLACES, "--workers", "1000"], "--workers 1000 needs a CPU each"),
    ([*PLACES, "--batch", "-1"], "--batch must lie between 0 and 256"),
    ([*PLACES, "--gpu", "--no-gpu"], "exclude each other"),
    ([*PLACES, "--sweep", "style-wieght=1"], "style-wieght is not a setting"),
    ([*PLACES, "--sweep", "start=noise,photos/c0.png"], "--sweep start takes content, noise and gray"),
    ([*PLACES, "--start", "photos"], "--start photos is a folder; name one picture in it"),
    ([*PLACES, "--start", "nowhere.png"], "--start"),
    ([*PLACES, "--mask", "nowhere"], "--mask"),
    ([*PLACES, "--mask", "masks"], "none of its 1 pictures is named as a content"),
    ([*PLACES, "--mask", "twice"], "2 masks for c0.png, such as c0.jpg and c0.webp"),
    ([*PLACES, "--pairs", "odd.csv"], "odd.csv line 2: content nobody.png is not among the 1 pictures"),
    ([*PLACES, "--pairs", "pairs.csv", "--sweep", "lr=0.1,0.2"], "leave that column out"),
]


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize(("args", "message"), WRONG, ids=[" ".join(args) or "nothing" for args, _ in WRONG])
def test_wrong_input_is_one_line_and_exit_code_2_before_ray_starts(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folders(tmp_path, 1, 1)
    Path("empty").mkdir()
    Path("text.pth").write_text("hello")
    save(Path("masks/other.png"))
    save(Path("twice/c0.jpg"))
    save(Path("twice/c0.webp"))
    Path("odd.csv").write_text("content,style\nnobody.png,s0.png\n")
    Path("pairs.csv").write_text("content,style,output\nc0.png,s0.png,a.png\n")
    assert main(quick(*args)) == 2
    shown = capsys.readouterr()
    assert re.fullmatch(r"python -m styletransfer: .+\n", shown.err), shown.err
    assert message in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("flag", ["--size=1", "--address=nonsense", "--address=127.0.0.1:1"])
def test_a_wrong_flag_is_answered_before_torch_and_ray_are_loaded(flag: str) -> None:
    code = (
        f"import sys; from styletransfer.__main__ import main; code = main(['a', 'b', 'c', '{flag}']); "
        "assert not {'torch', 'ray'} & set(sys.modules); sys.exit(code)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, cwd=ROOT)
    assert answer.returncode == 2


@pytest.mark.parametrize("words", [["--scales", "0.5,1"], ["--scales=0.5,1"], ["--scales", "0.5", "1"]])
def test_several_values_may_be_separated_by_commas(words: list[str]) -> None:
    layers = ["--style-layers", "relu1_1,relu2_1"]
    command = parse_command(["a,b", "p", "o", *words, *layers, "--sweep", "style-weight=1,3"])
    assert command.places == ("a,b", "p", "o") and command.sweep == ("style-weight=1,3",)
    assert command.style.scales == (0.5, 1.0) and command.style.style_layers == ("relu1_1", "relu2_1")


@pytest.mark.usefixtures("no_ray")
def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path: Path, capsys: Capture) -> None:
    places = make_folders(tmp_path, 3, 2)
    assert main([*quick(*places, "--workers", "1"), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "to stylize: 6 of 6 (6 new)",
        "up to date: 0",
        f"into {tmp_path}/out: c0__s0.png, c0__s1.png, c1__s0.png, ...",
    ]
    assert re.fullmatch(r"workers: 1 worker, \d+ CPUs? each( \(memory is short\))?", lines[3])
    assert re.fullmatch(r"memory: about \d\.\d GiB per worker", lines[4])
    assert re.fullmatch(
        r"time: about \d+ s, \S+ s per pair, from a few iterations at small sizes .+", lines[5]
    )
    assert len(lines) == 6 and not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_ray")
def test_skipped_files_are_reported(tmp_path: Path, capsys: Capture) -> None:
    places = make_folders(tmp_path, 1, 1)
    for name in ("IMG_1.MOV", "IMG_2.mov", "IMG_3.dng"):
        (tmp_path / "photos" / name).touch()
    (tmp_path / "photos" / "away.png").symlink_to("/nowhere.png")
    assert main([*quick(*places), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "skipped 1, first away.png: a broken link\n" in shown
    assert f"{tmp_path}/photos: skipped 3 files of other kinds: 2 .mov, 1 .dng\n" in shown


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_a_cluster_that_is_not_there_is_one_line_and_exit_code_2(address: str, tmp_path: Path) -> None:
    args = quick(*make_folders(tmp_path, 1, 1), "--address", address)
    answer = subprocess.run(
        [sys.executable, "-m", "styletransfer", *args], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert answer.returncode == 2
    assert re.fullmatch(rf"python -m styletransfer: --address .*{address}.+\n", answer.stderr), answer.stderr
