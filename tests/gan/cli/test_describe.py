"""`gan describe` of settings, a run and a sweep."""

import json
import shutil
from pathlib import Path

import pytest

from common.storage.folder import Folder
from gan.__main__ import main
from gan.checkpoint import GeneratorState, generator_to_bytes
from gan.config import GanConfig, NetworkConfig
from gan.networks import build_generator
from gan.run_folder import Row

Capture = pytest.CaptureFixture[str]


def test_tables_show_layers_totals_and_memory(capsys: Capture) -> None:
    assert main(["describe", "--width", "4", "--latent-size", "8", "--resolution", "16", "--batch", "6"]) == 0
    shown = capsys.readouterr().out
    assert "1,444 parameters in the generator, 848 in the discriminator" in " ".join(shown.split())
    lines = [line.split() for line in shown.splitlines()]
    assert ["blocks.0.0", "NearestConv2d", "4", "x", "8", "x", "8", "288", "8,192"] in lines
    assert ["all", "1,444", "21,504"] in lines and ["all", "848", "20,608"] in lines
    assert "a batch of 6, " in shown and "averaged generator" in shown
    assert "for pictures in colour; if all are grey, add --colour grey" in shown


def test_the_memory_is_that_of_the_batch_that_the_family_ends_with_in_its_parts(capsys: Capture) -> None:
    small = ["--family", "progressive", "--width", "2", "--latent-size", "8", "--resolution", "64"]
    assert main(["describe", *small, "--batch", "16", "--accumulate", "2", "--precision", "fp16"]) == 0
    assert "a batch of 8 in 2 parts, fp16" in " ".join(capsys.readouterr().out.split())


def test_a_run_is_described_by_its_settings_and_flags_override_them(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path, capsys: Capture
) -> None:
    location = plain_run[0].location
    assert main(["describe", location, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["generator"]["parameters"], found["generator"]["macs"]) == (1444, 21504)
    assert found["discriminator"]["flops"] == 2 * found["discriminator"]["macs"]
    assert (found["batch_of_a_worker"], found["precision"], found["channels"]) == (16, "fp32", 3)
    memory = found["memory"]
    assert memory["total"] == sum(size for part, size in memory.items() if part != "total")

    best = tmp_path / "sweep" / "best"
    best.mkdir(parents=True)
    for name in ("config.json", "generator.safetensors"):
        shutil.copy(plain_run[0].path(name), best)
    args = [
        "describe",
        str(tmp_path / "sweep"),
        "--json",
        "--batch",
        "32",
        "--workers",
        "4",
        "--colour",
        "grey",
    ]
    assert main(args) == 0
    of_sweep = json.loads(capsys.readouterr().out)
    assert (of_sweep["batch_of_a_worker"], of_sweep["channels"]) == (8, 1)
    assert of_sweep["generator"]["parameters"] == 1444 - 9 * 4 * 2, "two channels less to the image"
    assert of_sweep["memory"]["optimizer"] < memory["optimizer"]


def test_the_channels_of_a_run_are_those_that_it_was_trained_with(tmp_path: Path, capsys: Capture) -> None:
    config = GanConfig(network=NetworkConfig(width=4))
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert main(["describe", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "3 x 32 x 32" in shown and "add --colour grey" in shown, "a run without a finished tick"
    grey = build_generator(config.network, resolution=32, channels=1)
    blob = generator_to_bytes(GeneratorState(grey.state_dict(), 1, config.to_dict()))
    (tmp_path / "generator.safetensors").write_bytes(blob)
    assert main(["describe", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "1 x 32 x 32" in shown and "--colour" not in shown


WRONG = [
    (["--batch", "32", "runs/x"], "runs/x must come first, before any flag: python -m gan describe runs/x"),
    (["nowhere"], "DIR needs "),
    (["--config", "nowhere.json"], "--config needs nowhere.json"),
    (["--workers", "3", "--batch", "64"], "--batch must be a multiple of the 3 workers"),
    (["--workers", "0"], "--workers must be at least 1, not 0"),
]


@pytest.mark.parametrize(("args", "message"), WRONG, ids=[" ".join(args) for args, _ in WRONG])
def test_what_cannot_be_described_is_one_line(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["describe", *args]) == 2
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1
