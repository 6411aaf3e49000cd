"""Several squares of a picture, and images of both orientations, from a folder to arrays."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from common.errors import ConfigError
from gan.cli.display import say_skipped
from gan.config import DataConfig
from gan.data import loading
from gan.data.images import Images
from gan.data.loading import load_images

CROPS = 4


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    """Thirty-three pictures in two classes, each of a colour of its own."""
    for number in range(33):
        path = tmp_path / "root" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + number, 60), (number, 0, 77)).save(path)
    return DataConfig(
        source=str(tmp_path / "root"), cache=str(tmp_path / "cache"), resolution=16, crops=CROPS
    )


def numbers(images: np.ndarray) -> list[int]:
    """Which picture each image is of; all its pixels are of one colour."""
    assert (images == images[:, :1, :1]).all() and (images[..., 2] == 77).all()
    return [int(red) for red in images[:, 0, 0, 0]]


@pytest.mark.parametrize(("held_out", "expected"), [(2000, 6), (20, 5), (19, 4), (8, 2), (1, 1)])
def test_no_picture_is_both_trained_on_and_held_out(config: DataConfig, held_out: int, expected: int) -> None:
    images = load_images(dataclasses.replace(config, held_out=held_out))
    train, kept = numbers(images.train), numbers(images.held_out)
    assert not set(train) & set(kept) and {*train, *kept} == set(range(33))
    assert len(kept) == CROPS * expected and len(train) == CROPS * (33 - expected)
    for part in (train, kept):  # all of a picture in a row
        assert part == [number for number in part[::CROPS] for _ in range(CROPS)]
    assert images.crops == CROPS
    assert images.train_labels is not None and images.held_out_labels is not None
    assert images.train_labels.tolist() == [number % 2 for number in train]
    assert images.held_out_labels.tolist() == [number % 2 for number in kept]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("held_out", [1, 13, 2000])
def test_another_number_held_out_is_that_of_decoding_anew(
    config: DataConfig, held_out: int, flip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = dataclasses.replace(config, held_out=8, flip=flip)
    load_images(first)
    anew = load_images(dataclasses.replace(first, held_out=held_out, cache=str(tmp_path / "other")))
    with monkeypatch.context() as patch:
        patch.setattr(loading, "write_store", lambda *_: pytest.fail("decoded again"))
        again = load_images(dataclasses.replace(first, held_out=held_out))
    for part in ("train", "held_out", "train_labels", "held_out_labels"):
        np.testing.assert_array_equal(getattr(again, part), getattr(anew, part))
    assert (again.fingerprint, again.crops, again.flip) == (anew.fingerprint, CROPS, flip)


def test_what_is_made_of_the_pictures_is_part_of_what_identifies_them(config: DataConfig) -> None:
    plain = dataclasses.replace(config, crops=1)
    different = [
        plain,
        config,
        dataclasses.replace(config, crops=2),
        dataclasses.replace(config, data_seed=1),
        dataclasses.replace(plain, flip=True),
        dataclasses.replace(plain, fit="pad"),
        dataclasses.replace(plain, fit="pad", pad_colour="white"),
        dataclasses.replace(plain, fit="pad", pad_colour="black"),
    ]
    assert len({load_images(each).fingerprint for each in different}) == len(different)


def test_stores_and_fingerprints_of_earlier_versions_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DataConfig(max_images=60, resolution=32, cache=str(tmp_path))
    images = load_images(config)
    # as the version before these settings computed it
    assert images.fingerprint == "615246cb48d50d21e399cead4ea5ceea"
    facts_path = tmp_path / images.fingerprint / "store.json"
    facts = json.loads(facts_path.read_text())
    for name in ("crops", "flip", "enlarged"):
        del facts[name]
    facts_path.write_text(json.dumps(facts))
    monkeypatch.setattr(loading, "write_store", lambda *_: pytest.fail("decoded again"))
    again = load_images(config)
    np.testing.assert_array_equal(again.train, images.train)
    assert (again.crops, again.flip, again.enlarged) == (1, False, 0)


def test_with_flip_half_of_the_stored_images_are_mirrored_and_nothing_else_changes(tmp_path: Path) -> None:
    config = DataConfig(max_images=1000, resolution=16, cache=str(tmp_path))
    plain, flipped = load_images(config), load_images(dataclasses.replace(config, flip=True))
    assert flipped.flip and not plain.flip
    mirrored = []
    for before, after in ((plain.train, flipped.train), (plain.held_out, flipped.held_out)):
        is_same = (before == after).all(axis=(1, 2, 3))
        is_mirror = (before[:, :, ::-1] == after).all(axis=(1, 2, 3))
        assert (is_same | is_mirror).all()
        mirrored += (is_mirror & ~is_same)[is_same != is_mirror].tolist()
    assert len(mirrored) > 800, "few shapes are symmetric"
    # 4 standard deviations of a fair coin
    assert abs(np.mean(mirrored) - 0.5) < 4 * 0.5 / np.sqrt(len(mirrored))
    elsewhere = load_images(dataclasses.replace(config, flip=True, cache=str(tmp_path / "other")))
    np.testing.assert_array_equal(elsewhere.held_out, flipped.held_out)


def _said(images: Images) -> str:
    out = io.StringIO()
    say_skipped(Console(file=out, width=300), images)
    return out.getvalue()


def test_small_pictures_are_enlarged_and_counted(config: DataConfig, tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (15, 90), (100 + number, 0, 77)).save(tmp_path / "root" / "a" / f"small{number}.png")
    plain = dataclasses.replace(config, crops=1)
    said = _said(load_images(plain))
    assert "enlarged 3 pictures smaller than 16 x 16 pixels; a lower --resolution avoids it" in said
    assert "3 pictures smaller" in _said(load_images(plain)), "also from the cache"
    assert "3 pictures smaller" in _said(load_images(dataclasses.replace(plain, held_out=2)))
    assert "enlarged" not in _said(load_images(dataclasses.replace(plain, fit="pad")))


def test_pictures_too_small_for_several_crops_are_skipped_and_many_are_refused(
    config: DataConfig, tmp_path: Path
) -> None:
    small = tmp_path / "root" / "a" / "small.png"
    Image.new("RGB", (15, 90), (100, 0, 77)).save(small)
    images = load_images(config)
    assert [name for name, _ in images.skipped] == ["a/small.png"]
    assert "too small for --crops 4 of 16 pixels" in _said(images)
    assert 100 not in numbers(images.train) + numbers(images.held_out)
    Image.new("RGB", (90, 15), (101, 0, 77)).save(small.with_name("small2.png"))
    with pytest.raises(ConfigError) as error:
        load_images(config)
    text = str(error.value)
    assert text.startswith("--max-broken allows 0.05 of the pictures to be unreadable, not 2 of 35, first ")
    assert "15 x 90 pixels, too small for --crops 4 of 16 pixels" in text and "\n" not in text
