"""Samples beside their nearest training pictures, with planted copies."""

import numpy as np
import pytest
import torch

from gan.config import GanConfig
from gan.data.loading import load_images
from gan.report import nearest
from gan.report.nearest import compare


def comparison(
    config: GanConfig, samples: np.ndarray, most_searched: int | None = None
) -> nearest.Comparison:
    return compare(
        samples,
        load_images(config.data),
        config,
        shown=3,
        shown_held_out=2,
        most_searched=most_searched,
        device=torch.device("cpu"),
    )


def test_copies_are_found_beside_the_pictures_that_they_are_copies_of(tiny_config: GanConfig) -> None:
    images = load_images(tiny_config.data)
    copies = np.array(images.train[[5, 77, 130, 9, 31, 8]])
    found = comparison(tiny_config, copies)
    assert found.searched == len(images.train) == 208
    assert found.samples.pictures.shape == (3, 4, 16, 16, 3)
    assert np.array_equal(found.samples.pictures[:, 0], copies[:3])
    assert np.array_equal(found.samples.pictures[:, 1], copies[:3])
    assert found.samples.distances == pytest.approx((0, 0, 0), abs=1e-3)
    assert found.memorization == pytest.approx(0, abs=1e-3) and 0.5 < found.memorization_noise < 1.5


def test_held_out_pictures_are_new_and_so_are_samples_like_them(tiny_config: GanConfig) -> None:
    images = load_images(tiny_config.data)
    found = comparison(tiny_config, np.array(images.held_out))
    assert found.memorization == pytest.approx(1)
    assert 0.5 < np.median(found.held_out.distances) < 2
    assert np.array_equal(found.held_out.pictures[:, 0], images.held_out[[0, 31]])


def test_a_few_training_pictures_are_searched_where_all_would_take_too_long(tiny_config: GanConfig) -> None:
    images = load_images(tiny_config.data)
    found = comparison(tiny_config, np.array(images.train[[0, 207, 5]]), most_searched=2)
    assert found.searched == 2
    assert found.samples.distances[:2] == pytest.approx((0, 0), abs=1e-3) and found.samples.distances[2] > 0.1
    assert found.samples.pictures.shape[1] == 3, "the picture, and the only two others"


def test_the_nearest_are_those_of_a_search_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_BLOCK", 7)
    generator = torch.Generator().manual_seed(0)
    vectors, points = torch.randn(5, 4, generator=generator), torch.randn(50, 4, generator=generator)
    distances, places = nearest._nearest(vectors, points, 3)
    expected = (vectors[:, None].double() - points[None].double()).square().sum(dim=2).sqrt()
    assert torch.equal(places, expected.argsort(dim=1)[:, :3])
    assert torch.allclose(distances, expected.sort(dim=1).values[:, :3])
