"""Networks by name: shipped, of a user's file, random; what they promise and what they refuse."""

import hashlib
import importlib.resources
from pathlib import Path

import pytest
import safetensors.torch
import torch

from common.errors import ConfigError
from perceptual import shipped
from perceptual.loading import load_network
from perceptual.network import CompactNetwork
from perceptual.shipped import SHIPPED, sets_of

WIDTHS = (4, 5, 6, 7, 8)
PICTURES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))


def narrow() -> CompactNetwork:
    torch.manual_seed(7)
    return CompactNetwork(WIDTHS).requires_grad_(False)


def half(network: CompactNetwork) -> dict[str, torch.Tensor]:
    return {name: tensor.half() for name, tensor in network.state_dict().items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights as `perceptual.train` writes them."""
    path = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(half(narrow()), path)
    return path


def refusal(weights: str | None, **settings: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_network("compact", weights=weights, **settings)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message and "; " in message
    return message


def test_a_users_file_gives_its_network_frozen_in_single_precision(file: Path) -> None:
    found = load_network("compact", weights=str(file))
    expected = narrow()
    expected.load_state_dict(half(expected))
    assert found.name == "compact-file" and found.pooling == "average" and not found.training
    assert not any(weight.requires_grad for weight in found.parameters())
    assert {tensor.dtype for tensor in found.state_dict().values()} == {torch.float32}
    for tap, activation in found(PICTURES, found.taps).items():
        assert torch.equal(activation, expected(PICTURES, expected.taps)[tap])
    assert found.digest == expected.digest


def test_pooling_and_last_tap_are_the_callers_choice(file: Path) -> None:
    cut = load_network("compact", weights=str(file), pooling="max", last_tap="relu2_1")
    whole = load_network("compact", weights=str(file), pooling="max")
    assert cut.taps == ("relu1_1", "relu1_2", "relu2_1") and len(cut.state_dict()) == 6
    assert torch.equal(cut(PICTURES, cut.taps)["relu2_1"], whole(PICTURES, whole.taps)["relu2_1"])
    assert "pooling must be average or max" in refusal(str(file), pooling="median")
    assert "relu5_2, not 'relu5_3'" in refusal(str(file), last_tap="relu5_3")


def test_a_file_of_more_or_fewer_stages_is_its_own_network(tmp_path: Path) -> None:
    torch.manual_seed(7)
    network = CompactNetwork((4, 6))
    torch.save(network.state_dict(), tmp_path / "x.pth")
    found = load_network("compact", weights=str(tmp_path / "x.pth"))
    assert found.taps == ("relu1_1", "relu1_2", "relu2_1", "relu2_2") and found.digest == network.digest


def test_files_of_other_networks_are_refused_in_one_line(tmp_path: Path) -> None:
    good = half(narrow())
    cases: list[tuple[dict[str, torch.Tensor], str]] = [
        ({"features.0.weight": torch.zeros(4, 3, 3, 3)}, "it lacks convolutions.0.weight"),
        (good | {"head.weight": torch.zeros(5, 8)}, "head.weight as well"),
        (
            {name: tensor for name, tensor in good.items() if name != "convolutions.9.bias"},
            "convolutions.9.bias",
        ),
        (good | {"convolutions.3.weight": torch.zeros(5, 5, 5, 5)}, "(5, 5, 3, 3), not (5, 5, 5, 5)"),
        (good | {"convolutions.2.weight": torch.zeros(5, 9, 3, 3)}, "(5, 4, 3, 3), not (5, 9, 3, 3)"),
        (good | {"convolutions.0.weight": torch.zeros(4)}, "1 dimensions"),
        (good | {"convolutions.0.bias": torch.full((4,), torch.nan)}, "convolutions.0.bias is not finite"),
    ]
    for number, (tensors, named) in enumerate(cases):
        path = tmp_path / f"{number}.safetensors"
        safetensors.torch.save_file(tensors, path)
        message = refusal(str(path))
        assert message.startswith(f"the weights file {path} is not a compact network: ") and named in message


def test_a_truncated_file_is_refused_in_one_line(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])
    assert "truncated" in refusal(str(file))


def test_what_is_neither_a_file_nor_shipped_is_refused_in_one_line(tmp_path: Path) -> None:
    for weights in (str(tmp_path / "none.safetensors"), str(tmp_path), "compact-99"):
        assert "compact-1" in refusal(weights)


@pytest.mark.parametrize("name", sets_of("compact"))
def test_a_shipped_set_is_small_and_what_was_shipped(name: str) -> None:
    data = importlib.resources.files("perceptual").joinpath("weights", f"{name}.safetensors").read_bytes()
    assert len(data) < 6 * 2**20 and hashlib.sha256(data).hexdigest() == SHIPPED[name]
    found = load_network("compact", weights=name)
    assert found.name == name and len(found.taps) == 10
    assert all(bool(x.isfinite().all()) for x in found(PICTURES, found.taps).values())


def ship(monkeypatch: pytest.MonkeyPatch, folder: Path, file: Path, name: str = "compact-9") -> None:
    """Let the package hold that file as its newest set."""
    (folder / "weights").mkdir()
    (folder / "weights" / f"{name}.safetensors").write_bytes(file.read_bytes())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(shipped, "FOLDER", folder / "weights")
    monkeypatch.setitem(SHIPPED, name, digest)


def test_the_newest_shipped_set_is_the_default(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(monkeypatch, tmp_path, file)
    by_default, by_name = load_network("compact"), load_network("compact", weights="compact-9")
    assert by_default.name == by_name.name == "compact-9"
    assert by_default.digest == by_name.digest == load_network("compact", weights=str(file)).digest


def test_shipped_weights_that_changed_are_refused_with_the_remedy(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(monkeypatch, tmp_path, file)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    (tmp_path / "weights" / "compact-9.safetensors").write_bytes(data)
    message = refusal(None)
    assert "SHA-256" in message and message.endswith("reinstall artsweep")
    (tmp_path / "weights" / "compact-9.safetensors").unlink()
    assert refusal("compact-9").endswith("reinstall artsweep")


def test_random_weights_are_those_of_he_and_of_their_seed() -> None:
    first = load_network("compact", weights="random:7")
    again = load_network("compact", weights="random:7", last_tap="relu4_1")
    other = load_network("compact", weights="random")
    assert first.name == "compact-random-7" and other.name == "compact-random-0"
    assert first.digest != other.digest == load_network("compact", weights="random:0").digest
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, first.state_dict()[name])
    for layer in first.layers()[2:]:
        assert layer.bias is not None and not bool(layer.bias.any())
        expected = (2 / (9 * layer.in_channels)) ** 0.5
        assert abs(layer.weight.std() / expected - 1) < 0.02


@pytest.mark.parametrize("weights", ["random:", "random:-1", "random:x", "random:1e3", "random:" + "9" * 30])
def test_a_seed_that_is_none_is_refused_in_one_line(weights: str) -> None:
    assert "random:SEED" in refusal(weights)


def test_an_unknown_network_or_device_is_refused_in_one_line(file: Path) -> None:
    with pytest.raises(ConfigError, match="compact or vgg19, not 'resnet'"):
        load_network("resnet")  # type: ignore[arg-type]
    for device in ("nonsense", "cuda:99"):
        assert f"the device {device} cannot be used" in refusal(str(file), device=device)


def test_loading_leaves_the_callers_random_numbers_alone(file: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_network("compact", weights=str(file))
    load_network("compact", weights="random:3", last_tap="relu2_1")
    assert torch.equal(torch.rand(3), expected)
