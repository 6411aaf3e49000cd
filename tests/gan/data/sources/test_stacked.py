"""Stacked MNIST against a second stacking of the raw bytes of tiny idx files."""

import dataclasses
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from common.errors import ConfigError
from gan.config import DataConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.data.sources import find_source
from gan.data.sources.stacked import DEFAULT_COUNT, drawn
from gan.data.transfer import pack, unpack

DIGITS = 30
LABELS = bytes(i * 7 % 10 for i in range(DIGITS))


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    """Sixty pictures stacked from thirty digits of noise."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, DIGITS * 28 * 28, dtype=np.uint8).tobytes()
    (raw / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, DIGITS, 28, 28) + pixels)
    (raw / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, DIGITS) + LABELS)
    return DataConfig(
        source="stacked-mnist",
        root=str(tmp_path / "data"),
        cache=str(tmp_path / "cache"),
        resolution=32,
        max_images=60,
        held_out=10,
        data_seed=3,
    )


def stacked_by_hand(raw: Path, count: int, seed: int) -> Counter[tuple[bytes, int]]:
    """How often each picture with its label must be there, from the files' bytes."""
    digits, pixels = [], (raw / "train-images-idx3-ubyte").read_bytes()[16:]
    for i in range(DIGITS):
        grey = Image.frombytes("L", (28, 28), pixels[784 * i : 784 * (i + 1)])
        digits.append(grey.resize((32, 32), Image.Resampling.LANCZOS))
    generator, found = np.random.Generator(np.random.Philox(seed)), Counter[tuple[bytes, int]]()
    for _ in range(count):
        red, green, blue = (int(DIGITS * generator.random()) for _ in range(3))
        picture = Image.merge("RGB", [digits[red], digits[green], digits[blue]])
        found[picture.tobytes(), int(f"{LABELS[red]}{LABELS[green]}{LABELS[blue]}")] += 1
    return found


def held(images: Images) -> Counter[tuple[bytes, int]]:
    assert images.train_labels is not None and images.held_out_labels is not None
    pictures = [*images.train, *images.held_out]
    labels = [*images.train_labels.tolist(), *images.held_out_labels.tolist()]
    return Counter((picture.tobytes(), label) for picture, label in zip(pictures, labels, strict=True))


def test_pictures_and_labels_are_those_of_a_second_implementation(config: DataConfig) -> None:
    images = load_images(config)
    assert held(images) == stacked_by_hand(Path(str(config.root)) / "MNIST" / "raw", 60, seed=3)
    assert (len(images.train), len(images.held_out), images.channels) == (50, 10, 3)
    assert images.class_names == tuple(f"{number:03}" for number in range(1000))
    assert images.channel_classes == 10


def test_the_seed_alone_decides_the_pictures(config: DataConfig, tmp_path: Path) -> None:
    first = load_images(config)
    elsewhere = dataclasses.replace(config, cache=str(tmp_path / "other cache"))
    assert held(load_images(elsewhere)) == held(first)
    other = load_images(dataclasses.replace(config, data_seed=4))
    assert held(other) != held(first) and other.fingerprint != first.fingerprint


def test_the_drawn_digits_are_the_same_on_every_machine() -> None:
    assert drawn(3, 60_000, seed=0).tolist() == [
        [844, 15466, 28293],
        [5485, 58748, 15365],
        [56135, 11403, 2165],
    ]
    assert np.array_equal(drawn(40, 60_000, seed=0)[:3], drawn(3, 60_000, seed=0)), "a smaller set is a part"


def test_every_digit_is_equally_likely_in_every_channel_and_channels_are_independent() -> None:
    digits = drawn(20_000, 10, seed=1)
    for channel in digits.T:
        assert scipy.stats.chisquare(np.bincount(channel, minlength=10)).pvalue > 1e-3
    numbers = digits @ [100, 10, 1]
    assert scipy.stats.chisquare(np.bincount(numbers, minlength=1000)).pvalue > 1e-3


def test_there_are_as_many_pictures_to_train_on_as_in_the_papers(config: DataConfig, tmp_path: Path) -> None:
    plain = dataclasses.replace(config, max_images=None, held_out=DataConfig().held_out)
    names = find_source(plain, tmp_path).open().names
    assert len(names) == DEFAULT_COUNT and DEFAULT_COUNT - plain.held_out == 128_000


def test_another_split_and_another_node_know_that_channels_have_classes(
    config: DataConfig, tmp_path: Path
) -> None:
    first = load_images(config)
    again = load_images(dataclasses.replace(config, held_out=5))
    assert len(again.held_out) == 5 and again.channel_classes == 10 and held(again) == held(first)
    there = dataclasses.replace(config, cache=str(tmp_path / "there"))
    assert unpack(there, pack(config, first)).channel_classes == 10


def test_other_data_sets_have_no_classes_of_channels(config: DataConfig) -> None:
    assert load_images(dataclasses.replace(config, source="mnist", max_images=30)).channel_classes == 0


def test_stacks_of_the_same_digit_stay_in_colour(config: DataConfig) -> None:
    raw = Path(str(config.root)) / "MNIST" / "raw"
    (raw / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, 1, 28, 28) + bytes(784))
    (raw / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 1) + b"\7")
    images = load_images(config)
    assert images.channels == 3 and images.train_labels is not None
    assert set(images.train_labels.tolist()) == {777}


def test_grey_stacks_are_refused(config: DataConfig) -> None:
    with pytest.raises(ConfigError, match=r"^--data stacked-mnist .* --colour must be auto or rgb, not grey"):
        load_images(dataclasses.replace(config, colour="grey"))
