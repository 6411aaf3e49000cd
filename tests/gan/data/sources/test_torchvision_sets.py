"""The named data sets from files made here, and the errors when they are absent, damaged or forged."""

import gzip
import hashlib
import pickle
import shlex
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from gan.config import DataConfig
from gan.data.images import Images
from gan.data.loading import load_images


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def load(source: Path | str, cache: Path, **settings: object) -> Images:
    values: dict[str, object] = {"source": str(source), "cache": str(cache), "resolution": 16, **settings}
    return load_images(DataConfig(**values))


def assert_one_line_with_remedy(error: pytest.ExceptionInfo[ConfigError], *words: str) -> None:
    text = str(error.value)
    assert "\n" not in text and text.startswith("--") and ";" in text, text
    for word in words:
        assert word in text, text


def colour_of(number: int) -> tuple[int, int, int]:
    return (number % 256, number // 256, 77)


def write_pictures(root: Path, names: list[str]) -> None:
    """PNG of 16 x 16, each of its own plain colour: the number of its name in the list."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), colour_of(number)).save(root / name)


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray, *, packed: bool) -> None:
    folder.mkdir(parents=True)
    for name, array in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        content = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize(("source", "name"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_idx_files_are_read_packed_or_not(source: str, name: str, tmp_path: Path, cache: Path) -> None:
    values = np.arange(30, dtype=np.uint8)
    pictures = np.repeat(values, 28 * 28).reshape(30, 28, 28)
    for packed in (True, False):
        root = tmp_path / str(packed)
        write_idx(root / name / "raw", pictures, values % 10, packed=packed)
        images = load(source, cache, root=str(root))
        assert images.channels == 1 and len(images.class_names) == 10
        assert sorted(images.train[:, 0, 0, 0].tolist() + images.held_out[:, 0, 0, 0].tolist()) == [
            *range(30)
        ]
        assert images.train_labels is not None
        assert (images.train[:, 3, 3, 0] % 10 == images.train_labels).all()
        images.check_batch(24)


@pytest.mark.parametrize("source", ["mnist", "fashion-mnist", "stacked-mnist", "cifar10", "celeba"])
def test_an_absent_data_set_names_its_remedies(source: str, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(source, cache, root=str(tmp_path / "nothing"))
    assert_one_line_with_remedy(error, "--download", "--data-root", source)


def test_a_damaged_idx_file_is_named(tmp_path: Path, cache: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    write_idx(raw, np.zeros((10, 28, 28), np.uint8), np.zeros(10, np.uint8), packed=True)
    labels, pictures = raw / "train-labels-idx1-ubyte.gz", raw / "train-images-idx3-ubyte.gz"
    whole = pictures.read_bytes()
    for damage in (whole[:40], b"", gzip.compress(b"\0\0\10\3"), labels.read_bytes()):
        pictures.write_bytes(damage)
        with pytest.raises(ConfigError, match=r"is damaged .*--download"):
            load("mnist", cache, root=str(tmp_path))
    pictures.write_bytes(whole)
    labels.write_bytes(gzip.compress(struct.pack(">2I", 0x0801, 9) + bytes(9)))
    with pytest.raises(ConfigError, match="do not belong together"):
        load("mnist", cache, root=str(tmp_path))


class _Touch:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_pickles_that_are_not_the_published_ones_are_never_opened(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(_Touch(tmp_path / "opened")))
    with pytest.raises(ConfigError) as error:
        load("cifar10", cache, root=str(tmp_path))
    assert_one_line_with_remedy(error, "cifar10", "--download")
    assert not (tmp_path / "opened").exists()


def test_cifar10_is_read_when_its_files_are_the_published_ones(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (50, 3 * 32 * 32), dtype=np.uint8)
    contents = {
        f"data_batch_{i + 1}": {"data": rows[10 * i : 10 * i + 10], "labels": list(range(10))}
        for i in range(5)
    }
    contents |= {"test_batch": {}, "batches.meta": {"label_names": [f"class {i}" for i in range(10)]}}
    md5 = {}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
        md5[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(
        CIFAR10, "train_list", [[f"data_batch_{i}", md5[f"data_batch_{i}"]] for i in range(1, 6)]
    )
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5["batches.meta"]})

    images = load("cifar10", cache, root=str(tmp_path), resolution=32)
    assert images.class_names == tuple(f"class {i}" for i in range(10))
    # rows of the files are planes of red, green and blue
    label_of = {
        np.stack([row[:1024], row[1024:2048], row[2048:]], axis=1).tobytes(): i % 10
        for i, row in enumerate(rows)
    }
    assert images.train_labels is not None
    assert [label_of[image.tobytes()] for image in images.train] == images.train_labels.tolist()


def test_a_failed_download_is_one_line(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets

    def fail(root: str, **options: object) -> None:
        assert options["download"] is True
        raise RuntimeError("no network\nat all")

    for name in ("MNIST", "CelebA"):
        monkeypatch.setattr(torchvision.datasets, name, fail)
        with pytest.raises(ConfigError) as error:
            load(name.lower(), cache, root=str(tmp_path), download=True)
        assert_one_line_with_remedy(error, "could not be downloaded (no network at all)", str(tmp_path))


def test_celeba_is_its_folder_of_faces(tmp_path: Path, cache: Path) -> None:
    write_pictures(tmp_path / "celeba" / "img_align_celeba", [f"{i:06}.jpg" for i in range(10)])
    images = load("celeba", cache, root=str(tmp_path))
    assert len(images.train) == 8 and images.train_labels is None


@pytest.mark.parametrize(
    ("place", "root", "source"),
    [
        ("MNIST/raw", "", "mnist"),
        ("FashionMNIST/raw", "", "fashion-mnist"),
        ("my digits", "my digits", "mnist"),
        ("fashion", "fashion", "fashion-mnist"),
    ],
)
def test_a_folder_with_idx_files_is_answered_with_the_flags_that_read_it(
    place: str, root: str, source: str, tmp_path: Path, cache: Path
) -> None:
    values = np.arange(30, dtype=np.uint8)
    write_idx(
        tmp_path / "sets" / place, np.repeat(values, 28 * 28).reshape(30, 28, 28), values % 10, packed=True
    )
    for given in (tmp_path / "sets" / place, tmp_path / "sets"):
        with pytest.raises(ConfigError) as error:
            load(given, cache)
        assert_one_line_with_remedy(error, "for its idx files give --data")
        words = shlex.split(str(error.value).partition("give ")[2].partition("; hidden")[0])
        assert words[:3] == ["--data", source, "--data-root"]
        assert Path(words[3]) == tmp_path / "sets" / root
        assert len(load(words[1], cache, root=words[3]).train) == 24


def test_a_folder_with_cifars_batches_is_answered_with_the_flags_that_read_it(
    tmp_path: Path, cache: Path
) -> None:
    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    (batches / "data_batch_1").write_bytes(b"x")
    for given in (batches, tmp_path):
        with pytest.raises(ConfigError) as error:
            load(given, cache)
        assert_one_line_with_remedy(error, f"give --data cifar10 --data-root {tmp_path}")
