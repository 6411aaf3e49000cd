"""Training of the compact network from the command line: its files, resuming, and what it refuses."""

import hashlib
import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from common.errors import ConfigError
from perceptual.loading import load_network
from perceptual.train import run
from perceptual.train.__main__ import main
from perceptual.train.classifier import Training, learning_rate, split
from perceptual.train.config import TrainConfig
from perceptual.train.image_folder import read_folder

FLAGS = ["--epochs", "2", "--batch", "4", "--side", "20", "--crop", "16", "--held-out", "0.2", "--seed", "3"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The number of threads decides the order of sums, hence the last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 8 pictures of noise, reddish and bluish."""
    root, random = tmp_path_factory.mktemp("data") / "noise", np.random.default_rng(0)
    for place, name in enumerate(("blue", "red")):
        (root / name).mkdir(parents=True)
        for i in range(8):
            pixels = random.integers(0, 256, (24, 22, 3), dtype=np.uint8)
            pixels[..., 2 - 2 * place] = 255
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """--out of a training that was not interrupted."""
    out = tmp_path_factory.mktemp("done") / "weights" / "compact-7"
    assert main([str(data), "--out", str(out), *FLAGS]) == 0
    return out


def refusal(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(args) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("python -m perceptual.train: ")
    return lines[0]


def test_a_training_leaves_weights_that_load_and_their_figures(uninterrupted: Path, data: Path) -> None:
    assert sorted(file.name for file in uninterrupted.parent.iterdir()) == [
        "compact-7.json",
        "compact-7.safetensors",
    ]
    weights = uninterrupted.with_name("compact-7.safetensors")
    figures = json.loads(uninterrupted.with_name("compact-7.json").read_text())
    assert figures["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert figures["data"] == "noise" and figures["images"] == 16 and figures["classes"] == 2
    assert figures["settings"]["seed"] == 3 and figures["settings"]["epochs"] == len(figures["history"]) == 2
    assert figures["accuracy"] in (0, 1 / 3, 2 / 3, 1) and figures["torch"] == torch.__version__
    assert figures["seconds"] > 0 and figures["broken_pictures"] == 0 and figures["held_out_images"] == 3
    tensors = safetensors.torch.load_file(weights)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16} and len(tensors) == 20

    network = load_network("compact", weights=str(weights))
    pictures = read_folder(data, 20).images[np.sort(split(16, 0.2, 3)[0])]
    shown = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    for activation in network(shown, network.taps).values():
        mean = activation.mean(dim=(0, 2, 3))
        # half precision moves channels that are rarely active further
        assert (mean[mean > 0.1] - 1).abs().median() < 0.005
        # after so little training about half of them never are, more or less as the machine rounds
        assert int((mean > 0.1).sum()) >= len(mean) // 3


def stop_after_save(monkeypatch: pytest.MonkeyPatch, signum: int) -> None:
    real = run.save_state

    def save_and_stop(*args: object) -> None:
        real(*args)  # type: ignore[arg-type]
        os.kill(os.getpid(), signum)

    monkeypatch.setattr(run, "save_state", save_and_stop)


def stop_within_second_epoch(monkeypatch: pytest.MonkeyPatch, signum: int) -> None:
    real, steps = Training._step, list[int]()

    def step_and_stop(self: Training, places: object, done: float) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 5:  # three steps an epoch
            os.kill(os.getpid(), signum)
        return real(self, places, done)  # type: ignore[arg-type]

    monkeypatch.setattr(Training, "_step", step_and_stop)


@pytest.mark.parametrize(
    ("stop", "signum"),
    [
        (stop_after_save, signal.SIGINT),
        (stop_within_second_epoch, signal.SIGINT),
        (stop_within_second_epoch, signal.SIGTERM),
    ],
)
def test_a_stopped_training_resumes_to_the_same_weights(
    stop: Callable[[pytest.MonkeyPatch, int], None],
    signum: int,
    data: Path,
    uninterrupted: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    args = [str(data), "--out", str(tmp_path / "x"), *FLAGS]
    with pytest.MonkeyPatch.context() as patch:
        stop(patch, signum)
        assert main(args) == 128 + signum
    assert (
        "the last finished epoch is saved; continue with the same flags and --resume"
        in capsys.readouterr().out
    )
    assert [file.name for file in tmp_path.iterdir()] == ["x.training.safetensors"]
    assert "add --resume" in refusal(args, capsys)
    torch.manual_seed(99)
    assert main([*args, "--resume"]) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.json", "x.safetensors"]
    whole = uninterrupted.with_name("compact-7.safetensors")
    assert (tmp_path / "x.safetensors").read_bytes() == whole.read_bytes()

    def untimed(out: Path) -> dict[str, object]:
        figures = json.loads(out.with_name(out.name + ".json").read_text())
        history = [{**epoch, "seconds": 0} for epoch in figures["history"]]
        return {**figures, "seconds": 0, "history": history}

    assert untimed(tmp_path / "x") == untimed(uninterrupted)


def test_a_training_stopped_while_it_wrote_its_weights_can_be_resumed(
    data: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = [str(data), "--out", str(tmp_path / "x"), *FLAGS]
    with monkeypatch.context() as patch:
        patch.setattr(run, "_figures", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert main(args) == 143
    (tmp_path / "x.safetensors").write_bytes(b"of this training")
    assert main([*args, "--resume"]) == 0
    whole = uninterrupted.with_name("compact-7.safetensors")
    assert (tmp_path / "x.safetensors").read_bytes() == whole.read_bytes()


def test_a_set_of_weights_is_never_overwritten(
    data: Path, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = uninterrupted.with_name("compact-7.safetensors")
    before = weights.read_bytes()
    for resume in ([], ["--resume"]):
        message = refusal([str(data), "--out", str(uninterrupted), *FLAGS, *resume], capsys)
        assert "must be a new name" in message and str(weights) in message
    assert weights.read_bytes() == before


def test_what_cannot_be_resumed_is_refused_in_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x"
    args, state = [str(data), "--out", str(out), *FLAGS], tmp_path / "x.training.safetensors"
    assert "leave --resume out" in refusal([*args, "--resume"], capsys)
    with monkeypatch.context() as patch:
        stop_after_save(patch, signal.SIGINT)
        main(args)
    capsys.readouterr()
    assert "needs --seed 3 as the stopped training had it, not 4" in refusal(
        [*args, "--seed", "4", "--resume"], capsys
    )
    other = tmp_path / "data"
    for name in ("a", "b"):
        (other / name).mkdir(parents=True)
        for i in range(8):
            Image.new("RGB", (24, 24), (i, i, i)).save(other / name / f"{i}.png")
    assert "pictures" in refusal([str(other), "--out", str(out), *FLAGS, "--resume"], capsys)
    whole = state.read_bytes()
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    for data_there in (b"", whole[: len(whole) // 2], (tmp_path / "foreign").read_bytes()):
        state.write_bytes(data_there)
        assert f"--resume cannot use {state}" in refusal([*args, "--resume"], capsys)


def test_a_loss_that_is_not_finite_ends_the_training_without_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Training, "_step", lambda *_: torch.tensor(torch.nan))
    args = [str(data), "--out", str(tmp_path / "x"), *FLAGS]
    assert "loss is not finite in epoch 1" in refusal(args, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--crop", "24"], "--crop must lie between 16 and --side 20, not 24"),
        (["--crop", "8"], "--crop must lie between 16"),
        (["--side", "8", "--crop", "8"], "--side must lie between 16 and 1024, not 8"),
        (["--epochs", "0"], "--epochs must be at least 1, not 0"),
        (["--batch", "1"], "--batch must be at least 2, not 1"),
        (["--batch", "14"], "--batch must be at most the 13 pictures to train on (3 are held out), not 14"),
        (["--peak-lr", "0"], "--peak-lr"),
        (["--peak-lr", "nan"], "--peak-lr"),
        (["--weight-decay", "-1"], "--weight-decay"),
        (["--label-smoothing", "1"], "--label-smoothing"),
        (["--held-out", "0"], "--held-out"),
        (["--seed", "-1"], "--seed"),
        (["--out", "x.safetensors"], "--out must be a file's name without extension"),
        (["--out", "."], "--out must be a file's name without extension"),
        (["--out", "/dev/null/x"], "--out /dev/null/x must be in a folder that can be written"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_a_wrong_flag_is_refused_in_one_line(
    flags: list[str],
    named: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named in refusal([str(data), *FLAGS, *flags], capsys)
    assert list(tmp_path.iterdir()) == []


def test_missing_data_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / "nowhere") in refusal([str(tmp_path / "nowhere"), *FLAGS], capsys)
    assert "DATA" in refusal([], capsys)


def test_the_learning_rate_rises_for_a_tenth_and_falls_along_a_cosine() -> None:
    assert math.isclose(learning_rate(0, 0.2), 0.02)
    assert math.isclose(learning_rate(0.05, 0.2), 0.11)
    assert math.isclose(learning_rate(0.1, 0.2), 0.2)
    assert math.isclose(learning_rate(0.1 + 0.9 / 3, 0.2), 0.15)
    assert math.isclose(learning_rate(0.55, 0.2), 0.1)
    assert math.isclose(learning_rate(1, 0.2), 0, abs_tol=1e-12)


@pytest.mark.parametrize(("count", "held_out", "kept"), [(100, 0.05, 5), (16, 0.2, 3), (20, 0.001, 1)])
def test_pictures_are_trained_on_or_held_out(count: int, held_out: float, kept: int) -> None:
    train, out = split(count, held_out, 5)
    assert len(out) == kept and sorted([*train, *out]) == list(range(count))
    assert (split(count, held_out, 5)[1] == out).all()
    assert any((split(count, held_out, seed)[1] != out).any() for seed in range(6, 10))


def test_the_optimizer_decays_matrices_alone(data: Path) -> None:
    config = TrainConfig(data=data, side=20, crop=16, batch=4, weight_decay=0.01)
    training = Training(read_folder(data, 20), config, torch.device("cpu"))
    decayed, plain = training._optimizer.param_groups
    assert decayed["weight_decay"] == 0.01 and plain["weight_decay"] == 0
    assert {weight.ndim for weight in decayed["params"]} == {2, 4} and len(decayed["params"]) == 11
    assert {weight.ndim for weight in plain["params"]} == {1} and len(plain["params"]) == 21


def test_fewer_pictures_than_a_batch_are_refused(data: Path) -> None:
    with pytest.raises(ConfigError, match="--batch"):
        Training(read_folder(data, 20), TrainConfig(data=data, side=20, crop=16), torch.device("cpu"))
