"""The classifier of a data set's classes, on bars of which it is known which classes they are."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from gan.metrics.classes import classifier, training
from gan.metrics.classes.classifier import Classifier, NoClassifierError, accuracy_of, classifier_of
from gan.metrics.classes.convnet import Convnet, shrunk, train_convnet
from gan.metrics.classes.labelled import Classes
from gan.metrics.reference import RealImages

SIDE, BARS = 16, 3


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def bars(labels: np.ndarray, seed: int) -> np.ndarray:
    """Grey pictures (N, 16, 16) of noise with a bright bar: its third of the height is its class."""
    pictures = np.random.default_rng(seed).integers(0, 120, (len(labels), SIDE, SIDE), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        picture[5 * label : 5 * label + 4] += 130
    return pictures


def stacked(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures with a bar in each channel, and the number that the classes of their channels spell."""
    classes = np.random.default_rng(seed).integers(0, BARS, (count, 3))
    pictures = bars(classes.flatten(), seed).reshape(count, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pictures), np.array([int("".join(map(str, row)), BARS) for row in classes])


def grey(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % BARS
    return bars(labels, seed)[..., None], labels


def real_images(
    kind: str = "grey", cache: Path | None = None, train: int = 120, key: str | None = "key"
) -> RealImages:
    make = stacked if kind == "stacked" else grey
    (images, labels), (held_out, held_out_labels) = make(train, 1), make(30, 2)
    return RealImages(
        train=images,
        held_out=held_out,
        seed=0,
        device=torch.device("cpu"),
        cache=cache,
        classes=Classes(
            train=labels,
            held_out=held_out_labels,
            number=BARS**3 if kind == "stacked" else BARS,
            per_channel=BARS if kind == "stacked" else 0,
            training_key=key,
        ),
    )


@pytest.mark.parametrize("kind", ["grey", "stacked"])
def test_the_classes_of_new_images_are_predicted(kind: str) -> None:
    real = real_images(kind)
    found = classifier_of(real)
    assert real.classes is not None
    predicted = found.predict(torch.from_numpy(real.held_out))
    assert (predicted.numpy() == real.classes.held_out).mean() > 0.95
    assert accuracy_of(found, real) > 0.95
    assert found.identity.startswith("convnet")


def test_it_is_trained_once_and_read_again_for_every_part_of_the_held_out_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = real_images(cache=tmp_path)
    first = classifier_of(real)
    monkeypatch.setattr(classifier, "train_classifier", pytest.fail)
    half = dataclasses.replace(real, held_out=real.held_out[::2], fingerprint="half")
    again = classifier_of(half)
    noise = torch.from_numpy(np.random.default_rng(5).integers(0, 256, (200, SIDE, SIDE, 1), dtype=np.uint8))
    assert torch.equal(first.predict(noise), again.predict(noise)) and first.identity == again.identity


def test_the_seed_decides_the_network_and_the_callers_random_numbers_are_left_alone() -> None:
    images, labels = grey(60, 1)
    pixels = shrunk(torch.from_numpy(images))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.no_grad():  # as when a state is measured again at the end of a sweep
        first = train_convnet(pixels, torch.from_numpy(labels), BARS, seed=0)
    assert torch.equal(torch.rand(3), expected)
    second = train_convnet(pixels, torch.from_numpy(labels), BARS, seed=0)
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_large_images_are_shrunk_to_means_over_areas() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    means = images.reshape(2, 32, 2, 32, 2, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    assert np.abs(shrunk(torch.from_numpy(images)).numpy() - means).max() <= 0.5
    small = torch.from_numpy(images[:, :16, :16])
    assert torch.equal(shrunk(small), small.permute(0, 3, 1, 2))


@pytest.mark.parametrize("kind", ["grey", "stacked"])
def test_a_probe_is_taken_where_it_is_right_more_often(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrained = Convnet(1, BARS, SIDE).eval()
    monkeypatch.setattr(training, "train_convnet", lambda *_, **__: untrained)
    real = real_images(kind, cache=tmp_path, train=100)
    found = classifier_of(real)
    assert found.identity.startswith("linear-probe-compact")
    assert accuracy_of(found, real) > 0.8
    assert accuracy_of(classifier_of(real), real) == accuracy_of(found, real), "read from the cache"


def test_no_probe_is_fitted_where_the_small_network_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "fit_probe", pytest.fail)
    assert classifier_of(real_images(train=200, key=None)).identity.startswith("convnet")


class _NeverRight:
    """Predicts class 0 for what it is told, else 1."""

    def __init__(self) -> None:
        self.seen = 0

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        self.seen = len(images)
        return torch.zeros(len(images), dtype=torch.int64)


def test_accuracy_of_channels_is_of_those_that_were_not_trained_on() -> None:
    real = real_images("stacked", train=40)
    known = dataclasses.replace(real, held_out=np.concatenate([real.train[:7], real.held_out[:3]]))
    assert real.classes is not None
    labels = np.concatenate([real.classes.train[:7], real.classes.held_out[:3]])
    known = dataclasses.replace(known, classes=dataclasses.replace(real.classes, held_out=labels))
    assert known.classes is not None
    model = _NeverRight()
    share = accuracy_of(Classifier(model, known.classes, "x"), known)
    digits = "".join(np.base_repr(label, BARS).rjust(3, "0") for label in labels[7:])
    assert model.seen == 9 and share == pytest.approx(digits.count("0") / 9)


def test_what_no_classifier_can_be_trained_on_is_said() -> None:
    real = real_images(key=None)
    assert real.classes is not None
    one = dataclasses.replace(real.classes, train=np.zeros_like(real.classes.train))
    for changed, said in (
        (dataclasses.replace(real, classes=None), "the images have no classes"),
        (dataclasses.replace(real, classes=one), "all training images are of one class"),
        (real_images(train=19), "needs at least 20 training images, not 19"),
    ):
        with pytest.raises(NoClassifierError, match=said) as error:
            classifier_of(changed)
        assert "\n" not in str(error.value)
