"""Quality measured against several squares of a picture, and of generators that draw both orientations."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gan.config import DataConfig, EvaluationConfig, GanConfig
from gan.data.images import Images, every_second_picture
from gan.data.shapes import render_shapes
from gan.distributed import Ranks
from gan.metrics.evaluation import RealFeatures, evaluate, real_features
from gan.metrics.few import halves
from gan.metrics.preparation import metric_of_run, real_images
from gan.report.nearest import compare
from gan.training.view import searched_half
from perceptual.embedding import load_embedder

CROPS = 3
CPU = torch.device("cpu")


def _images(train: np.ndarray, held_out: np.ndarray, *, crops: int = 1, flip: bool = False) -> Images:
    return Images(
        train=train,
        held_out=held_out,
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint=f"{int(train.sum())}-{flip}",
        crops=crops,
        flip=flip,
    )


def _of_pictures(first: int, stop: int) -> np.ndarray:
    """`CROPS` images of each picture, whose number is every pixel's value."""
    numbers = np.repeat(np.arange(first, stop, dtype=np.uint8), CROPS)
    return np.broadcast_to(numbers[:, None, None, None], (len(numbers), 16, 16, 3)).copy()


def _pictures(images: np.ndarray) -> set[int]:
    return set(images[:, 0, 0, 0].tolist())


def _config(cache: Path, part: str = "all") -> GanConfig:
    evaluation = EvaluationConfig(metric="fd_compact", metric_images=40, held_out_part=part)  # type: ignore[arg-type]
    return GanConfig(data=DataConfig(resolution=16, cache=str(cache)), evaluation=evaluation)


def test_every_second_picture_comes_with_all_its_images() -> None:
    both = _of_pictures(0, 5)
    assert every_second_picture(both, 0, CROPS)[:, 0, 0, 0].tolist() == [0, 0, 0, 2, 2, 2, 4, 4, 4]
    assert every_second_picture(both, 1, CROPS)[:, 0, 0, 0].tolist() == [1, 1, 1, 3, 3, 3]
    numbers = torch.arange(6)
    assert every_second_picture(numbers, 1, 1).tolist() == [1, 3, 5]
    assert every_second_picture(numbers, 1, 2).tolist() == [2, 3]


@pytest.mark.parametrize("num_held_out", [11, 12, 33])
def test_a_search_and_its_confirmation_share_no_picture(num_held_out: int, tmp_path: Path) -> None:
    images = _images(_of_pictures(100, 150), _of_pictures(0, num_held_out), crops=CROPS)
    search, confirmation = (
        real_images(_config(tmp_path, part), images, CPU) for part in ("search", "confirmation")
    )
    first, second = _pictures(search.held_out), _pictures(confirmation.held_out)
    assert not first & second and first | second == set(range(num_held_out))
    assert len(search.held_out) + len(confirmation.held_out) == CROPS * num_held_out
    np.testing.assert_array_equal(searched_half(images), search.held_out)


def test_the_halves_of_few_pictures_share_none(tmp_path: Path) -> None:
    images = _images(_of_pictures(5, 20), _of_pictures(0, 5), crops=CROPS)
    real = real_images(_config(tmp_path), images, CPU)
    assert not _pictures(real.held_out) & _pictures(real.train)
    features = torch.from_numpy(images.train[:, 0, 0, :1]).float()
    kept = torch.from_numpy(images.held_out[:, 0, 0, :1]).float()
    one, other = halves(kept, features, CROPS)
    assert not set(one.flatten().tolist()) & set(other.flatten().tolist())


# Both orientations


@pytest.fixture(scope="module")
def shapes() -> np.ndarray:
    return np.stack(list(render_shapes(0, 140, resolution=16, seed=3)))


def test_mirror_images_of_training_images_are_copies_where_they_were_shown(
    shapes: np.ndarray, tmp_path: Path
) -> None:
    train, held_out = shapes[:100], shapes[100:]
    mirrored = torch.from_numpy(train[:40, :, ::-1].copy())
    row = {}
    for flip in (False, True):
        images = _images(train, held_out, flip=flip)
        metric = metric_of_run(_config(tmp_path), images, device="cpu")
        row[flip] = metric.measure(mirrored, Ranks())
    assert row[True]["fd_compact_40"] == row[False]["fd_compact_40"], "the distance is to the same images"
    assert row[True]["memorization_compact_40"] < row[False]["memorization_compact_40"]


def test_an_evaluation_looks_for_copies_in_both_orientations(shapes: np.ndarray, tmp_path: Path) -> None:
    train, held_out = shapes[:100], shapes[100:]
    embedder = load_embedder("compact", device=CPU)
    generated = embedder.embed(torch.from_numpy(train[:40, :, ::-1].copy()))
    found: dict[bool, dict[str, float]] = {}
    counted: list[int] = []
    for flip in (False, True):
        real = real_features(_images(train, held_out, flip=flip), embedder, tmp_path, counted.append)
        assert isinstance(real, RealFeatures) and real.shown().shape[0] == (200 if flip else 100)
        found[flip] = {each.name: each.value for each in evaluate(generated, real).measures}
    assert sum(counted) == 140 + 240
    assert found[True]["memorization_compact_40"] == pytest.approx(0, abs=1e-3)
    assert found[False]["memorization_compact_40"] > 0.1
    del found[True]["memorization_compact_40"], found[False]["memorization_compact_40"]
    assert found[True] == found[False]


def test_the_nearest_picture_may_be_a_mirror_image(shapes: np.ndarray, tmp_path: Path) -> None:
    images = _images(shapes[:100], shapes[100:], flip=True)
    copies = np.stack([images.train[7], images.train[31, :, ::-1], images.train[99, :, ::-1]])
    found = compare(
        copies,
        images,
        _config(tmp_path),
        shown=3,
        shown_held_out=2,
        most_searched=None,
        device=CPU,
    )
    assert found.searched == 100
    np.testing.assert_array_equal(found.samples.pictures[:, 1], copies)
    assert found.samples.distances == pytest.approx((0, 0, 0), abs=1e-3)
