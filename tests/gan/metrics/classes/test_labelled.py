"""Classes of single channels and of whole images: digits of a number, read from its text."""

import numpy as np
import pytest
import torch

from gan.metrics.classes.labelled import Classes

LABELS = np.array([0, 7, 42, 305, 999, 450])


def _classes(number: int, per_channel: int) -> Classes:
    return Classes(train=LABELS, held_out=LABELS, number=number, per_channel=per_channel)


def test_the_labels_of_channels_are_the_digits_of_the_label() -> None:
    stacked = _classes(1000, 10)
    digits = stacked.single_labels(LABELS, 3)
    assert digits.tolist() == [int(digit) for label in LABELS for digit in f"{label:03}"]
    assert stacked.joined(digits, 3).tolist() == LABELS.tolist()
    assert stacked.single == 10


def test_other_bases_are_read_as_pythons_own() -> None:
    stacked = _classes(8, 2)
    assert stacked.single_labels(np.array([6]), 3).tolist() == [1, 1, 0]
    assert stacked.joined(torch.tensor([1, 0, 1]), 3).tolist() == [int("101", 2)]


@pytest.mark.parametrize("per_channel", [0, 10])
def test_singles_are_images_or_their_channels_in_order(per_channel: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    singles = _classes(1000, per_channel).singles(torch.from_numpy(images))
    expected = images
    if per_channel:
        expected = np.stack([image[:, :, [channel]] for image in images for channel in range(3)])
    assert np.array_equal(singles.numpy(), expected)


def test_images_have_one_label_each_without_classes_of_channels() -> None:
    plain = _classes(1000, 0)
    assert plain.single == 1000
    assert plain.single_labels(LABELS, 3).tolist() == LABELS.tolist()
    assert plain.joined(torch.from_numpy(LABELS), 3).tolist() == LABELS.tolist()


def test_batches_are_the_singles_of_the_images_that_are_asked_for() -> None:
    images = np.arange(1200, dtype=np.uint16).view(np.uint8).reshape(1200, 1, 1, 2)
    which = np.arange(1, 1200, 2)
    parts = list(_classes(1000, 10).batches(images, which))
    assert len(parts) == 2, "some at a time"
    assert torch.cat(parts).flatten().tolist() == images[which].flatten().tolist()
