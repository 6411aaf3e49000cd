"""EfficientNet-Lite against the reference implementation and its parts by hand; what is refused."""

import hashlib
import importlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from skimage import data

from common.errors import ConfigError
from perceptual import lite, shipped
from perceptual.lite import TAPS, VARIANTS, LiteNetwork, load_lite
from perceptual.shipped import SHIPPED, sets_of

ROOT = Path(__file__).parent.parent.parent
PICTURES = torch.rand(2, 3, 40, 33, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def network() -> LiteNetwork:
    """With the shipped weights."""
    return load_lite()


@pytest.fixture
def conversion() -> Iterator[ModuleType]:
    """The script that made the shipped weights."""
    before = list(sys.path)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("convert_lite")
    sys.path[:] = before


def photo(picture: np.ndarray, side: int) -> torch.Tensor:
    """The middle of a picture, (1, 3, side, side) in [0, 1]."""
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    height, width = pixels.shape[2:]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    square = pixels[:, :, top : top + least, left : left + least]
    return F.interpolate(square, (side, side), mode="bilinear", antialias=True)


@pytest.mark.parametrize(
    ("name", "stages", "head", "mean"),
    [
        (
            "chelsea",
            [6.4688, 9.4109, 8.3348, 7.2418, 8.7583, 13.0261, 5.1622],
            [1.1337, 1.8808, 3.5148, 0.0, 6.0, 0.0, 0.0, 0.0],
            0.84209,
        ),
        (
            "coffee",
            [8.1896, 11.2503, 10.4033, 9.1638, 8.4067, 11.4708, 4.3798],
            [0.0, 0.0, 6.0, 0.0, 0.4021, 0.0, 0.0, 3.6895],
            1.07699,
        ),
    ],
)
def test_the_shipped_network_is_the_reference_implementation(
    network: LiteNetwork, name: str, stages: list[float], head: list[float], mean: float
) -> None:
    """Figures of efficientnet_lite_pytorch 0.1.0 with its own weights in float32, at 64 pixels."""
    found = network(photo(getattr(data, name)(), 64), TAPS)
    sizes = [float(found[f"stage{number}"].square().mean().sqrt()) for number in range(1, 8)]
    assert sizes == pytest.approx(stages, rel=1e-3)  # the shipped weights are in half precision
    means = found["head"].mean(dim=(2, 3))[0]
    assert means[:8].tolist() == pytest.approx(head, abs=0.04)
    assert float(means.mean()) == pytest.approx(mean, rel=2e-3)


def test_the_taps_have_the_shapes_that_the_network_says(network: LiteNetwork) -> None:
    found = network(PICTURES, TAPS)
    strides = {"stem": 2, "1": 2, "2": 4, "3": 8, "4": 16, "5": 16, "6": 32, "7": 32, "head": 32}
    assert tuple(found) == TAPS
    for tap, activation in found.items():
        stride = strides.get(tap, strides.get(tap[-1], 0))
        expected = (2, network.widths()[tap], math.ceil(40 / stride), math.ceil(33 / stride))
        assert activation.shape == expected
        if not tap.startswith("stage"):
            assert float(activation.min()) >= 0 and float(activation.max()) <= 6
    for tap in TAPS:
        assert torch.equal(network(PICTURES, [tap])[tap], found[tap])


@pytest.mark.parametrize("size", [7, 8, 9, 10])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_is_tensorflows_same(size: int, kernel: int, stride: int) -> None:
    random = torch.Generator().manual_seed(size)
    layer = torch.nn.Conv2d(1, 1, kernel, stride=stride, bias=False)
    x = torch.rand(1, 1, size, size, generator=random)
    # as TensorFlow defines it: ceil(size / stride) outputs, what is missing is added, the odd one at the end
    outputs = math.ceil(size / stride)
    missing = max(0, (outputs - 1) * stride + kernel - size)
    padded = np.zeros((size + missing, size + missing))
    before = missing // 2
    padded[before : before + size, before : before + size] = x[0, 0].numpy()
    weight = layer.weight.detach()[0, 0].numpy()
    expected = np.array(
        [
            [
                (padded[i * stride : i * stride + kernel, j * stride : j * stride + kernel] * weight).sum()
                for j in range(outputs)
            ]
            for i in range(outputs)
        ]
    )
    found = lite._convolved(x, layer).detach()[0, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_shipped_set_is_small_and_what_was_shipped(network: LiteNetwork) -> None:
    for name in sets_of("lite0"):
        file = ROOT / "perceptual" / "weights" / f"{name}.safetensors"
        held = file.read_bytes()
        assert len(held) < 7 * 2**20 and hashlib.sha256(held).hexdigest() == SHIPPED[name]
    assert network.name == "lite0-1" and not network.training
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}
    assert not any(weight.requires_grad for weight in network.parameters())


def test_the_variants_have_the_published_numbers_of_parameters() -> None:
    # in millions, with a classifier of 1000 classes, and for each bias a scale of BatchNorm
    for variant, millions in (("lite0", 4.7), ("lite1", 5.4), ("lite2", 6.1)):
        with torch.device("meta"):
            tensors = LiteNetwork(variant).state_dict()
        count = sum(each.numel() * (1 + (each.ndim == 1)) for each in tensors.values())
        assert (count + 1281 * 1000) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("variant", VARIANTS)
def test_batchnorm_is_folded_into_the_convolutions(conversion: ModuleType, variant: str) -> None:
    with torch.device("meta"):
        like = LiteNetwork(variant).state_dict()
    random = torch.Generator().manual_seed(1)
    published: dict[str, torch.Tensor] = {}
    for layer in (name.removesuffix(".weight") for name in like if name.endswith(".weight")):
        convolution, norm = conversion._published_names(layer, like)
        shape = like[f"{layer}.weight"].shape
        published[f"{convolution}.weight"] = torch.randn(shape, generator=random)
        for part in ("weight", "bias", "running_mean", "running_var"):
            published[f"{norm}.{part}"] = torch.rand(shape[0], generator=random) + 0.1
    tensors = conversion.folded(published, variant)
    assert len({tuple(each.flatten()[:4].tolist()) for each in published.values()}) == len(published)
    x = torch.rand(1, 3, 9, 9, generator=random)
    expected = F.batch_norm(
        F.conv2d(x, published["_conv_stem.weight"]),
        published["_bn0.running_mean"],
        published["_bn0.running_var"],
        published["_bn0.weight"],
        published["_bn0.bias"],
        eps=1e-3,
    )
    found = F.conv2d(x, tensors["stem.weight"], tensors["stem.bias"])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_only_the_published_file_is_converted(conversion: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"not it")
    for path, said in ((tmp_path / "x.pth", "must be 5793"), (tmp_path / "none.pth", "cannot be read")):
        with pytest.raises(ConfigError, match=said) as caught:
            conversion.converted(path, "lite0")
        assert "\n" not in str(caught.value)


def refusal(weights: str | None = None, **settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_lite(weights=weights, **settings)
    message = str(caught.value)
    assert "\n" not in message and "; " in message
    return message


def test_wrong_weights_are_refused_in_one_line(network: LiteNetwork, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    good = dict(network.state_dict())
    safetensors.torch.save_file(good, path)
    assert load_lite(weights=str(path)).name == "lite0-file"
    assert load_lite(weights=str(path)).digest == network.digest
    assert f"the weights file {path} is not an EfficientNet-Lite (lite1): " in refusal(
        str(path), variant="lite1"
    )
    safetensors.torch.save_file(good | {"head.bias": torch.full((1280,), torch.inf)}, path)
    assert "head.bias is not finite" in refusal(str(path))
    path.write_bytes(path.read_bytes()[:-10])
    assert "truncated" in refusal(str(path))
    assert "neither a file nor shipped (lite0-1)" in refusal("compact-1")
    assert "the package ships no weights of lite2; name a file" in refusal(variant="lite2")
    assert "cannot be used" in refusal(device="cuda:99")


def test_missing_or_changed_shipped_weights_are_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert refusal().endswith("reinstall artsweep")
    (tmp_path / "lite0-1.safetensors").write_bytes(b"damaged")
    assert "SHA-256" in refusal()


def test_unknown_taps_and_other_pictures_are_refused_in_one_line(network: LiteNetwork) -> None:
    for taps in ([], ["stage8"], ["relu1_1", "head"]):
        with pytest.raises(ConfigError, match="taps must be among stem, wide1"):
            network(PICTURES, taps)
    for wrong in (PICTURES[0], PICTURES[:, :1], PICTURES.mul(255).byte(), PICTURES[:, :, :0]):
        with pytest.raises(ConfigError, match="images must be floats") as caught:
            network(wrong, ["head"])
        assert "\n" not in str(caught.value)
