"""FID's Inception against torch-fidelity's own, and which files and images are refused."""

import io
import urllib.error
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from common.errors import ConfigError
from perceptual.inception import load_inception

PICTURES = torch.randint(
    0, 256, (2, 20, 24, 3), generator=torch.Generator().manual_seed(3), dtype=torch.uint8
)


class Unloaded(FeatureExtractorInceptionV3):
    """torch-fidelity's network with the random weights that it begins with."""

    def load_state_dict(self, *_: object, **__: object) -> None:  # type: ignore[override, unused-ignore]
        pass


@pytest.fixture(scope="module")
def original() -> FeatureExtractorInceptionV3:
    torch.manual_seed(2)
    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    return Unloaded("random", ["2048"], feature_extractor_weights_path=nothing)


@pytest.fixture(scope="module")
def file(original: FeatureExtractorInceptionV3, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(original.state_dict(), path)
    return path


def test_its_vectors_are_torch_fidelitys(original: FeatureExtractorInceptionV3, file: Path) -> None:
    torch.manual_seed(1)
    expected_numbers = torch.rand(2)
    torch.manual_seed(1)
    embedder = load_inception(str(file))
    assert torch.equal(torch.rand(2), expected_numbers)
    with torch.autocast("cpu", torch.bfloat16):
        found = embedder.embed(PICTURES)
    (expected,) = original(PICTURES.permute(0, 3, 1, 2))
    assert embedder.name == "inception" and embedder.length == 2048 and embedder.digest in embedder.key
    assert found.dtype == torch.float32 and found.shape == (2, 2048) and not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_its_convolutions_are_float32_whatever_is_asked_of_gpus(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PyTorch itself asks for TF32, with 10 bits of mantissa, in the convolutions of a GPU
    asked = set[str]()
    embedder = load_inception(str(file))
    forward = type(embedder._extractor).forward

    def recorded(extractor: FeatureExtractorInceptionV3, pictures: torch.Tensor) -> object:
        asked.add(torch.backends.cudnn.conv.fp32_precision)
        return forward(extractor, pictures)

    monkeypatch.setattr(type(embedder._extractor), "forward", recorded)
    embedder.embed(PICTURES)
    assert asked == {"ieee"} and torch.backends.cudnn.allow_tf32


def test_grey_is_repeated_and_nothing_gives_nothing(file: Path) -> None:
    embedder = load_inception(str(file))
    grey = PICTURES[:1, :, :, :1]
    torch.testing.assert_close(embedder.embed(grey), embedder.embed(grey.expand(-1, -1, -1, 3)))
    assert embedder.embed(PICTURES[:0]).shape == (0, 2048)
    for wrong in (PICTURES.float(), PICTURES[0], PICTURES[..., :2], PICTURES.permute(0, 3, 1, 2)):
        with pytest.raises(ConfigError, match="uint8 pictures"):
            embedder.embed(wrong)


def test_both_kinds_of_file_give_the_same_and_another_network_is_refused(
    original: FeatureExtractorInceptionV3, file: Path, tmp_path: Path
) -> None:
    state = original.state_dict()
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    assert load_inception(str(tmp_path / "x.safetensors")).key == load_inception(str(file)).key
    for change in (
        {"fc.bias": torch.zeros(1000)},
        {"extra": torch.zeros(1)},
        {"fc.bias": torch.full((1008,), torch.nan)},
    ):
        torch.save(state | change, tmp_path / "x.pth")
        with pytest.raises(ConfigError) as caught:
            load_inception(str(tmp_path / "x.pth"))
        assert str(tmp_path / "x.pth") in str(caught.value) and "\n" not in str(caught.value)


def test_weights_that_cannot_be_downloaded_are_one_line_with_the_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(ConfigError) as caught:
        load_inception()
    path = tmp_path / "hub" / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    message = str(caught.value)
    assert (
        "\n" not in message
        and str(path) in message
        and "--weights" in message
        and "torch-fidelity" in message
    )
