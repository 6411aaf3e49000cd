"""The EfficientNet-Lite embedder against the network called directly; sides, taps, grey, wrong input."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from common.errors import ConfigError
from perceptual.embedding import load_embedder
from perceptual.lite import LiteNetwork, load_lite
from perceptual.lite_embedding import LiteEmbedder

CPU = torch.device("cpu")


def _images(count: int, side: int, channels: int = 3) -> torch.Tensor:
    noise = np.random.default_rng(side).integers(0, 256, (count, side // 4, side // 4, channels))
    return torch.from_numpy(noise.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8))


@pytest.fixture(scope="module")
def network() -> LiteNetwork:
    """With the shipped weights."""
    return load_lite()


@pytest.mark.parametrize(("size", "side"), [(16, 48), (32, 48), (36, 96), (64, 96), (128, 96)])
def test_a_vector_is_the_mean_activations_at_the_taps(network: LiteNetwork, size: int, side: int) -> None:
    images = _images(3, size)
    pictures = F.interpolate(images.permute(0, 3, 1, 2) / 255, (side, side), mode="bilinear", antialias=True)
    found = network(pictures, ("stage2", "stage5", "stage6"))
    expected = [found["stage2"] / 2, found["stage5"] / 5, found["stage6"] / 5]
    embedder = LiteEmbedder(network, CPU)
    vectors = embedder.embed(images)
    assert vectors.dtype == torch.float32 and vectors.shape == (3, embedder.length) == (3, 328)
    for part, wanted in zip(vectors.split([24, 112, 192], dim=1), expected, strict=True):
        means = wanted.mean(dim=(2, 3))
        assert float((part - means).norm() / means.norm()) < 0.06  # bf16 has 8 bits, and 50 layers add up


def test_the_order_of_the_taps_is_the_order_in_the_vector(network: LiteNetwork) -> None:
    images = _images(2, 32)
    both = [
        LiteEmbedder(network, CPU, weights=dict.fromkeys(taps, 1.0))
        for taps in (("stage4", "head"), ("head", "stage4"))
    ]
    one, other = (embedder.embed(images) for embedder in both)
    torch.testing.assert_close(one[:, :80], other[:, 1280:])
    assert both[0].key != both[1].key


def test_vectors_do_not_depend_on_the_batch(network: LiteNetwork) -> None:
    embedder, images = LiteEmbedder(network, CPU, sides=(32, 32)), _images(70, 16)
    whole = embedder.embed(images)
    torch.testing.assert_close(whole[66:], embedder.embed(images[66:]), rtol=0.05, atol=0.02)
    assert embedder.embed(images[:0]).shape == (0, embedder.length)


@pytest.mark.parametrize("side", [4, 28, 64, 160])
def test_every_size_is_accepted_and_grey_is_repeated(network: LiteNetwork, side: int) -> None:
    embedder, grey = LiteEmbedder(network, CPU), _images(2, side, channels=1)
    vectors = embedder.embed(grey)
    assert bool(vectors.isfinite().all()) and vectors.shape == (2, embedder.length)
    torch.testing.assert_close(vectors, embedder.embed(grey.expand(-1, -1, -1, 3)))


def test_the_key_names_network_sides_and_taps(network: LiteNetwork) -> None:
    other = load_lite()
    other.stem.weight[0, 0, 0, 0] += 1
    forms = [
        LiteEmbedder(network, CPU),
        LiteEmbedder(other, CPU),
        LiteEmbedder(network, CPU, sides=(32, 96)),
        LiteEmbedder(network, CPU, sides=(48, 48)),
        LiteEmbedder(network, CPU, weights={"stage5": 1.0}),
        LiteEmbedder(network, CPU, weights={"stage5": 2.0}),
    ]
    assert len({form.key for form in forms}) == len({form.identity for form in forms}) == 6
    assert LiteEmbedder(load_lite(), CPU).key == forms[0].key and "48-96" in forms[0].key
    assert all(form.key.startswith(form.identity) for form in forms)


def test_the_network_is_left_as_it_was(network: LiteNetwork) -> None:
    before = network.digest
    LiteEmbedder(network, CPU).embed(_images(2, 32))
    assert network.digest == before and network.stem.weight.dtype == torch.float32


def test_the_embedder_is_loaded_by_name() -> None:
    embedder = load_embedder("lite0")
    assert embedder.name == "lite0" and embedder.embed(_images(2, 32)).shape == (2, embedder.length)


def test_wrong_input_is_refused_in_one_line(network: LiteNetwork) -> None:
    embedder = LiteEmbedder(network, CPU)
    for wrong in (
        _images(2, 32).float(),
        _images(2, 32)[0],
        _images(2, 32, channels=2),
        _images(2, 32)[:, :0],
    ):
        with pytest.raises(ConfigError, match="features are taken from uint8 pictures") as caught:
            embedder.embed(wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="both sides must be at least 32, not 31; try 48"):
        LiteEmbedder(network, CPU, sides=(31, 96))
    for taps in ((), ("relu1_1",)):
        with pytest.raises(ConfigError, match="taps must be among stem"):
            LiteEmbedder(network, CPU, weights=dict.fromkeys(taps, 1.0))
