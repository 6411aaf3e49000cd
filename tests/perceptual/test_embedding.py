"""Embedders against the network called directly; sizes, grey, wrong input."""

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from perceptual.embedding import TAPS, CompactEmbedder, load_embedder
from perceptual.loading import load_network


def _images(count: int, side: int, channels: int = 3) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(side).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    )


@pytest.fixture(scope="module")
def embedder() -> CompactEmbedder:
    """With the shipped weights."""
    return CompactEmbedder(load_network("compact"), torch.device("cpu"))


def test_a_vector_is_the_roots_of_the_mean_activations_at_the_taps(embedder: CompactEmbedder) -> None:
    images = _images(3, 64)
    found = load_network("compact")(images.permute(0, 3, 1, 2) / 255, TAPS)
    expected = torch.cat([found[tap].mean(dim=(2, 3)) for tap in TAPS], dim=1).sqrt()
    vectors = embedder.embed(images)
    assert vectors.dtype == torch.float32 and vectors.shape == (3, embedder.length)
    # bf16 has 8 bits
    assert float((vectors - expected).norm() / expected.norm()) < 0.02


def test_vectors_do_not_depend_on_the_batch(embedder: CompactEmbedder) -> None:
    images = _images(130, 16)
    whole = embedder.embed(images)
    torch.testing.assert_close(whole[128:], embedder.embed(images[128:]), rtol=0.02, atol=0.01)
    assert embedder.embed(images[:0]).shape == (0, embedder.length)


@pytest.mark.parametrize("side", [16, 32, 48, 64, 128])
def test_every_size_is_accepted_and_grey_is_repeated(side: int, embedder: CompactEmbedder) -> None:
    grey = _images(2, side, channels=1)
    vectors = embedder.embed(grey)
    assert bool(vectors.isfinite().all()) and vectors.shape == (2, embedder.length)
    torch.testing.assert_close(vectors, embedder.embed(grey.expand(-1, -1, -1, 3)))


def test_natural_pictures_have_channels_of_mean_one_or_so(embedder: CompactEmbedder) -> None:
    from skimage import data

    pictures = [data.astronaut(), data.coffee(), data.chelsea()]
    parts = [
        picture[y : y + 64, x : x + 64]
        for picture in pictures
        for y in range(0, picture.shape[0] - 63, 64)
        for x in range(0, picture.shape[1] - 63, 64)
    ]
    mean = embedder.embed(torch.from_numpy(np.stack(parts))).square().mean(dim=0)
    assert 0.6 < float(mean.mean()) < 1.6


def test_other_weights_and_taps_have_another_key(embedder: CompactEmbedder) -> None:
    random = CompactEmbedder(load_network("compact", weights="random:1"), torch.device("cpu"))
    fewer = CompactEmbedder(load_network("compact"), torch.device("cpu"), taps=TAPS[:2])
    again = CompactEmbedder(load_network("compact"), torch.device("cpu"))
    assert len({embedder.key, random.key, fewer.key}) == 3
    assert again.key == embedder.key
    assert fewer.length < embedder.length


def test_wrong_input_is_refused_in_one_line(embedder: CompactEmbedder) -> None:
    for wrong in (_images(2, 32).float(), _images(2, 32)[0], _images(2, 32, channels=2)):
        with pytest.raises(ConfigError, match="features are taken from uint8 pictures") as caught:
            embedder.embed(wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="--features must be compact, lite0 or inception, not vgg"):
        load_embedder("vgg")
