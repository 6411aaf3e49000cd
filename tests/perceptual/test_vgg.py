"""VGG-19 against torchvision's own, and its weights: from files, the cache, a download that fails."""

import email.message
import urllib.error
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torchvision

from common.errors import ConfigError
from perceptual.loading import load_network
from perceptual.vgg import Vgg19

FILE = "vgg19-dcbb9e9d.pth"
# places of torchvision's ReLUs in `features`, from its documentation of VGG-19's layers
RELUS = {"relu1_1": 1, "relu1_2": 3, "relu2_1": 6, "relu3_1": 11, "relu3_4": 17, "relu4_2": 22, "relu5_4": 35}
PICTURES = torch.rand(1, 3, 37, 48, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def features() -> torch.nn.Sequential:
    """torchvision's convolutions with random weights."""
    with torch.device("meta"):
        whole = torchvision.models.vgg19()
    made: torch.nn.Sequential = whole.features.to_empty(device="cpu").requires_grad_(False)
    random = torch.Generator().manual_seed(1)
    for weight in made.parameters():
        weight.normal_(0, 0.05, generator=random)
    return made


@pytest.fixture(scope="module")
def whole_file(features: torch.nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict as torchvision publishes it, its classifier made small."""
    state = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    path = tmp_path_factory.mktemp("vgg") / FILE
    torch.save(state | {"classifier.0.weight": torch.zeros(2, 2), "classifier.0.bias": torch.zeros(2)}, path)
    return path


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch.hub's cache, empty; the folder of its files."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "hub" / "checkpoints"


def test_its_taps_are_torchvisions_activations(features: torch.nn.Sequential, whole_file: Path) -> None:
    network = load_network("vgg19", weights=str(whole_file))
    assert len(network.taps) == 16 and network.taps[-1] == "relu5_4" and network.name == "vgg19-file"
    found = network(PICTURES, RELUS)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (PICTURES - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    for place, layer in enumerate(features):
        x = torch.relu(x) if isinstance(layer, torch.nn.ReLU) else layer(x)
        for tap in (tap for tap, at in RELUS.items() if at == place):
            torch.testing.assert_close(found[tap], x, rtol=1e-5, atol=1e-5)


def test_average_pooling_is_the_callers_choice(whole_file: Path) -> None:
    largest, average = (
        load_network("vgg19", weights=str(whole_file), pooling=pooling, last_tap="relu2_1")
        for pooling in (None, "average")
    )
    before = largest(PICTURES, ["relu1_2"])["relu1_2"]
    for network, pooled in (
        (largest, torch.nn.functional.max_pool2d(before, 2)),
        (average, torch.nn.functional.avg_pool2d(before, 2)),
    ):
        expected = network.layers()[2](pooled).clamp_min(0)
        torch.testing.assert_close(network(PICTURES, ["relu2_1"])["relu2_1"], expected)
    assert largest.digest != average.digest


def test_every_kind_of_file_gives_the_same_network(
    features: torch.nn.Sequential, whole_file: Path, tmp_path: Path
) -> None:
    safetensors.torch.save_file(features.state_dict(), tmp_path / "alone.safetensors")
    torch.save({f"features.{n}": x for n, x in features.state_dict().items()}, tmp_path / "prefixed.pth")
    files = [whole_file, tmp_path / "alone.safetensors", tmp_path / "prefixed.pth"]
    digests = {load_network("vgg19", weights=str(file), last_tap="relu3_1").digest for file in files}
    assert len(digests) == 1


def test_what_comes_after_the_last_tap_is_not_kept(whole_file: Path) -> None:
    network = load_network("vgg19", weights=str(whole_file), last_tap="relu2_2")
    assert sum(weight.numel() for weight in network.parameters()) == 260_160
    with pytest.raises(ConfigError, match="not relu3_1"):
        network(PICTURES, ["relu3_1"])


def test_files_of_other_networks_are_refused_in_one_line(
    features: torch.nn.Sequential, tmp_path: Path
) -> None:
    vgg_16 = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    vgg_11_bn = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["A"], batch_norm=True)
    for number, other in enumerate((vgg_16, vgg_11_bn)):
        path = tmp_path / f"{number}.pth"
        torch.save(other.state_dict(), path)
        with pytest.raises(ConfigError) as caught:
            load_network("vgg19", weights=str(path), last_tap="relu2_1")
        assert str(caught.value).startswith(f"the weights file {path} is not a VGG-19 of torchvision: ")
        assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused_in_one_line(whole_file: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(whole_file.read_bytes()[:100_000])
    with pytest.raises(ConfigError, match="truncated"):
        load_network("vgg19", weights=str(tmp_path / "x.pth"))


def test_torch_hubs_cache_serves_without_a_download(
    whole_file: Path, empty_hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_download(*_: object, **__: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_download)
    empty_hub.mkdir(parents=True)
    (empty_hub / FILE).symlink_to(whole_file)
    network = load_network("vgg19", last_tap="relu1_2")
    assert network.name == "vgg19"
    assert network.digest == load_network("vgg19", weights=str(whole_file), last_tap="relu1_2").digest


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("no route to host"),
        TimeoutError("timed out"),
        RuntimeError("invalid hash value"),
    ],
)
def test_weights_that_cannot_be_had_are_one_line_with_the_remedies(
    error: Exception, empty_hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(ConfigError) as caught:
        load_network("vgg19")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("VGG-19", "--weights", "allow the download", f"https://download.pytorch.org/models/{FILE}"):
        assert part in message
    assert str(empty_hub / FILE) in message


class Broken:
    """An answer that ends after a few bytes."""

    def __init__(self) -> None:
        self.parts = [b"PK\x03\x04 and no more", b""]

    def __enter__(self) -> "Broken":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def info(self) -> email.message.Message:
        return email.message.Message()

    def read(self, _: int) -> bytes:
        return self.parts.pop(0)


def test_a_part_of_a_download_never_stays(empty_hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "urlopen", lambda _: Broken())
    with pytest.raises(ConfigError, match="cannot be downloaded"):
        load_network("vgg19")
    assert list(empty_hub.iterdir()) == []


def test_random_weights_need_no_file(empty_hub: Path) -> None:
    network = load_network("vgg19", weights="random:2", last_tap="relu2_1")
    assert network.name == "vgg19-random-2" and isinstance(network, Vgg19) and not empty_hub.exists()
