"""Augmentations against plain loops over pixels, and their gradients against finite differences."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from gan.training.augmentations import AUGMENTATIONS
from gan.training.augmentations._composed import composed

ALL = ("colour", "translation", "cutout")
Pixels = npt.NDArray[np.float64]


def _image(seed: int = 0, channels: int = 3, height: int = 16, width: int = 16) -> Pixels:
    return np.random.default_rng(seed).uniform(-1, 1, (channels, height, width))


def _colour(image: Pixels, brightness: float, saturation: float, contrast: float) -> Pixels:
    found = np.empty_like(image)
    channels, height, width = image.shape
    for row in range(height):
        for column in range(width):
            pixel = [image[channel, row, column] + brightness - 0.5 for channel in range(channels)]
            grey = sum(pixel) / channels
            for channel in range(channels):
                found[channel, row, column] = grey + 2 * saturation * (pixel[channel] - grey)
    mean = sum(found.ravel().tolist()) / found.size
    return mean + (contrast + 0.5) * (found - mean)


def _translation(image: Pixels, down: float, right: float) -> Pixels:
    found = np.zeros_like(image)
    _, height, width = image.shape
    # the side's eighth, both ways, each whole number alike likely
    shifts = [
        list(range(-round(side / 8), round(side / 8) + 1))[int(share * (2 * round(side / 8) + 1))]
        for side, share in ((height, down), (width, right))
    ]
    for row in range(height):
        for column in range(width):
            to_row, to_column = row + shifts[0], column + shifts[1]
            if 0 <= to_row < height and 0 <= to_column < width:
                found[:, to_row, to_column] = image[:, row, column]
    return found


def _cutout(image: Pixels, down: float, right: float) -> Pixels:
    found = image.copy()
    _, height, width = image.shape
    sizes = (height // 2, width // 2)  # even sides here
    middles = [
        math.floor(share * (side + 1 - size % 2))
        for share, side, size in zip((down, right), (height, width), sizes, strict=True)
    ]
    for row in range(height):
        for column in range(width):
            offsets = (row - middles[0] + sizes[0] // 2, column - middles[1] + sizes[1] // 2)
            if all(0 <= offset < size for offset, size in zip(offsets, sizes, strict=True)):
                found[:, row, column] = 0
    return found


PLAIN = {"colour": _colour, "translation": _translation, "cutout": _cutout}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 16, 16), (3, 16, 24), (6, 32, 32)])
def test_an_augmentation_is_that_of_plain_loops(name: str, channels: int, height: int, width: int) -> None:
    entry, randomness = AUGMENTATIONS[name], np.random.default_rng(1)
    numbers = randomness.uniform(0, 1, (20, entry.num_numbers))
    numbers[0], numbers[1] = 0, 1 - 2**-24  # the extremes of what is drawn
    images = np.stack([_image(seed, channels, height, width) for seed in range(20)])
    found = entry.apply(torch.from_numpy(images), torch.from_numpy(numbers))
    for image, own, seen in zip(images, numbers, found.numpy(), strict=True):
        np.testing.assert_allclose(seen, PLAIN[name](image, *own), rtol=0, atol=1e-12)


def test_translations_and_cutouts_reach_as_far_as_they_may() -> None:
    ones = torch.ones(3, 1, 32, 32)
    corners = torch.tensor([[0.0, 0.0], [0.5, 0.5], [1 - 2**-24, 1 - 2**-24]])
    moved = AUGMENTATIONS["translation"].apply(ones, corners)
    assert moved.sum(dim=(1, 2, 3)).tolist() == [28 * 28, 32 * 32, 28 * 28]
    cut = AUGMENTATIONS["cutout"].apply(ones, corners)
    # a quarter of the picture, less at a corner, where the square's middle may be
    assert (1024 - cut.sum(dim=(1, 2, 3))).tolist() == [8 * 8, 16 * 16, 8 * 8]


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    entry = AUGMENTATIONS[name]
    images = torch.from_numpy(np.stack([_image(seed, 3, 8, 8) for seed in range(2)])).requires_grad_()
    numbers = torch.rand(
        2, entry.num_numbers, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    assert torch.autograd.gradcheck(lambda x: entry.apply(x, numbers), images)


def test_with_a_probability_each_image_has_its_own_decision_for_each_augmentation() -> None:
    images = torch.from_numpy(np.stack([_image(seed) for seed in range(16)]))
    numbers = torch.rand(16, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = composed(ALL)(images, numbers, torch.tensor(0.5, dtype=torch.float64)).numpy()
    firsts = {"colour": 0, "translation": 4, "cutout": 7}
    for image, own, seen in zip(images.numpy(), numbers.numpy(), found, strict=True):
        expected = image
        for name, first in firsts.items():
            if own[first] < 0.5:
                count = AUGMENTATIONS[name].num_numbers
                expected = PLAIN[name](expected, *own[first + 1 : first + 1 + count])
        np.testing.assert_allclose(seen, expected, rtol=0, atol=1e-12)


def test_a_probability_of_nothing_changes_no_bit_and_one_of_1_changes_all() -> None:
    images = torch.from_numpy(np.stack([_image(seed) for seed in range(16)])).float()
    numbers = torch.rand(16, 10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(composed(ALL)(images, numbers, torch.tensor(0.0)), images)
    changed = composed(ALL)(images, numbers, torch.tensor(1.0)) != images
    assert changed.flatten(1).any(dim=1).all()


def test_names_are_known_without_their_modules_and_each_says_what_it_does() -> None:
    assert set(ALL) <= set(AUGMENTATIONS.names)
    assert all(AUGMENTATIONS.summary(name) for name in AUGMENTATIONS)
