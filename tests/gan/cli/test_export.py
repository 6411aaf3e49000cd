"""`gan export` of a sweep's best and of a run."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from common.storage.folder import Folder
from gan import generation
from gan.__main__ import main
from gan.export.exporting import ExportError
from gan.run_folder import Row

Capture = pytest.CaptureFixture[str]


def test_the_best_of_a_sweep_is_exported_as_it_is_sampled(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    best = tmp_path / "sweep" / "best"
    best.mkdir(parents=True)
    shutil.copy(plain_run[0].path("generator.safetensors"), best)
    monkeypatch.chdir(tmp_path)
    assert main(["export", "sweep"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("wrote generator.onnx, ") and "for 1, 2, 7, 32 latents" in said
    generator, config = generation.load_trained("sweep")
    latents = generation.random_latents(config, 5, seed=4)
    session = onnxruntime.InferenceSession("generator.onnx", providers=["CPUExecutionProvider"])
    (images,) = session.run(None, {"latents": latents.numpy()})
    pixels = np.round((images + 1) * 127.5).transpose(0, 2, 3, 1)
    assert np.abs(pixels - generation.sample(generator, latents, config)).max() <= 1


def test_a_program_of_torch_is_written_where_it_was_asked_for(
    plain_run: tuple[Folder, list[Row]], tmp_path: Path
) -> None:
    out = tmp_path / "a" / "b.pt2"
    assert main(["export", plain_run[0].location, "--format", "torch", "--out", str(out)]) == 0
    assert torch.export.load(out).module()(torch.zeros(3, 8)).shape == (3, 3, 16, 16)


def test_what_is_not_there_is_said_before_what_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("common.extras.importlib.util.find_spec", lambda _: None)
    assert main(["export", "nope"]) == 2
    assert capsys.readouterr().err.startswith("python -m gan: nope has no generator.safetensors")


def test_a_failure_is_one_line_and_exit_code_1(
    plain_run: tuple[Folder, list[Row]], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(*_: object) -> float:
        raise ExportError("the file computes something else")

    monkeypatch.setattr("gan.cli.export.export_generator", fail)
    assert main(["export", plain_run[0].location]) == 1
    assert capsys.readouterr().err == "failed: the file computes something else\n"
