"""Exported generators, read by ONNX Runtime and PyTorch without this project's help."""

import dataclasses
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from common.errors import ConfigError
from common.storage.atomic import WriteError
from gan.config import GanConfig
from gan.export.exporting import ExportError, export_generator
from gan.export.format import Floats
from gan.export.formats import FORMATS, ExportFormat, check_out, check_packages
from gan.networks import build_generator
from gan.networks.families import FAMILIES

CONFIG = GanConfig.from_dict({"data": {"resolution": 16}, "network": {"width": 4, "latent_size": 8}})
BATCHES = (1, 3, 50)


def trained(config: GanConfig, channels: int) -> nn.Module:
    """A generator whose statistics are those of its activations, and whose images fill the range."""
    generator = build_generator(config.network, resolution=16, channels=channels, seed=1)
    with torch.no_grad():
        for _ in range(30):
            generator(torch.randn(64, 8, generator=torch.Generator().manual_seed(0)))
        list(generator.parameters())[-1].mul_(40)
    return generator.eval()


def check_images(run: Callable[[Floats], Floats], generator: nn.Module, channels: int) -> None:
    for count in BATCHES:
        latents = torch.randn(count, 8, generator=torch.Generator().manual_seed(count))
        with torch.no_grad():
            expected = generator(latents).numpy()
        assert expected.shape == (count, channels, 16, 16) and np.abs(expected).max() > 0.3
        assert np.abs(run(latents.numpy()) - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("channels", "values"),
    [(3, {}), (1, {"network.upsampling": "transposed", "network.sync_batch_norm": True})],
    ids=["colour", "grey"],
)
def test_an_onnx_file_computes_what_the_generator_does_for_any_number_of_latents(
    channels: int, values: dict[str, object], tmp_path: Path
) -> None:
    config, path = CONFIG.with_values(values), tmp_path / "new" / "generator.onnx"
    generator = trained(config, channels)
    assert 0 <= export_generator(generator, config, "onnx", path) < 1e-5
    assert list(path.parent.iterdir()) == [path]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    check_images(lambda latents: session.run(["images"], {"latents": latents})[0], generator, channels)
    assert [each.shape for each in session.get_inputs()] == [["batch", 8]]
    about = {each.key: each.value for each in model.metadata_props}
    colours = {3: "channels are red, green, blue", 1: "the channel is grey"}
    assert about["latent_size"] == "8" and "standard normal" in about["latents"]
    assert about["truncation"].startswith("none") and about["value_range"].startswith("[-1, 1]")
    assert about["channel_order"] == f"batch, channel, row, column; {colours[channels]}"
    assert about["images"] == f"float32 (batch, {channels}, 16, 16)"
    # no folder of this machine
    assert str(Path(__file__).parents[3]).encode() not in path.read_bytes()
    assert b"site-packages" not in path.read_bytes()


def test_a_program_of_torch_computes_what_the_generator_does_for_any_number_of_latents(
    tmp_path: Path,
) -> None:
    generator, path = trained(CONFIG, 3), tmp_path / "generator.pt2"
    assert export_generator(generator, CONFIG, "torch", path) < 1e-6
    extra: dict[str, Any] = {"about.json": ""}
    program = torch.export.load(path, extra_files=extra).module()
    check_images(lambda latents: program(torch.from_numpy(latents)).detach().numpy(), generator, 3)
    assert json.loads(extra["about.json"])["latent_size"] == "8"
    assert b"site-packages" not in path.read_bytes()


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "dcgan"])
@pytest.mark.parametrize(("name", "ending"), [("onnx", "onnx"), ("torch", "pt2")])
def test_every_family_is_exported(family: str, name: ExportFormat, ending: str, tmp_path: Path) -> None:
    config = CONFIG.with_values({"network.family": family})
    generator = build_generator(config.network, resolution=16, channels=3, seed=1).eval()
    path = tmp_path / f"generator.{ending}"
    assert export_generator(generator, config, name, path) < 1e-3
    if name == "onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        latents = torch.randn(3, 8)
        with torch.no_grad():
            expected = generator(latents).numpy()
        found = session.run(["images"], {"latents": latents.numpy()})[0]
        np.testing.assert_allclose(found, expected, atol=1e-3)


def spoiled(change: Callable[[Floats], Floats]) -> Any:
    """The torch format with a program that computes something else."""
    form = FORMATS["torch"]

    def read(path: Path) -> Any:
        run, about = form.read(path)
        return lambda latents: change(run(latents)), about

    return dataclasses.replace(form, read=read)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: images + 2e-4, r"differ by up to 0.0002 from the generator's, more than 0.0001"),
        (lambda images: images * np.float32(np.nan), "differ by up to nan"),
        (lambda images: images[:, :1], r"shape \(1, 1, 16, 16\) where the generator's have \(1, 3, 16, 16\)"),
        (lambda images: images[5], "cannot be read again, and was removed: index 5"),
    ],
    ids=["near", "nan", "shape", "error"],
)
def test_a_file_that_computes_something_else_is_not_kept_and_the_earlier_one_is(
    change: Callable[[Floats], Floats], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "generator.pt2"
    path.write_text("earlier")
    monkeypatch.setitem(FORMATS, "torch", spoiled(change))
    with pytest.raises(ExportError, match=message) as caught:
        export_generator(trained(CONFIG, 3), CONFIG, "torch", path)
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]


def test_metadata_that_were_lost_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = FORMATS["torch"]
    monkeypatch.setitem(
        FORMATS, "torch", dataclasses.replace(form, read=lambda path: (form.read(path)[0], {}))
    )
    with pytest.raises(ExportError, match="has lost its metadata"):
        export_generator(trained(CONFIG, 3), CONFIG, "torch", tmp_path / "generator.pt2")
    assert not list(tmp_path.iterdir())


class Deciding(nn.Module):
    """Computes something else for each batch, which no exported program can."""

    def forward(self, latents: Tensor) -> Tensor:
        sign = 1.0 if float(latents.sum()) > 0 else -1.0
        return sign * latents[:, :3, None, None].expand(-1, 3, 16, 16)


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_a_generator_that_a_format_cannot_hold_is_one_line(name: ExportFormat, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"cannot be written as --format {name}: ") as caught:
        export_generator(Deciding().eval(), CONFIG, name, tmp_path / "x")
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 400
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    with pytest.raises(WriteError, match=r"file/generator\.pt2 cannot be written"):
        export_generator(trained(CONFIG, 3), CONFIG, "torch", tmp_path / "file" / "generator.pt2")


def test_missing_packages_are_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    check_packages("torch")
    check_packages("onnx")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name)
    )
    with pytest.raises(ConfigError) as caught:
        check_packages("onnx")
    assert str(caught.value) == (
        "--format onnx needs the package onnxscript, which is not installed; run "
        "pip install 'artsweep[export]'"
    )
    check_packages("torch")


def test_the_ending_is_that_of_the_format() -> None:
    assert check_out(None, "onnx") == Path("generator.onnx")
    assert check_out("a/b.pt2", "torch") == Path("a/b.pt2")
    for out, said in (("a/b", "not without an ending; try a/b.pt2"), ("b.onnx", "not .onnx; try b.pt2")):
        with pytest.raises(ConfigError, match=f"--out must end in .pt2 with --format torch, {said}"):
            check_out(out, "torch")
