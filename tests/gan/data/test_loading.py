"""From `--data` to arrays: sources, classes, split, cache, damage, and several processes at once."""

import csv
import dataclasses
import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from common.storage import content_hash
from gan.config import DataConfig
from gan.data import array_store, loading
from gan.data.images import Images
from gan.data.loading import DecodeProgress, load_images
from gan.data.shapes import labels_of, render_shapes
from tests.waiting import HANGS_AFTER_S


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def load(source: Path | str, cache: Path, **settings: object) -> Images:
    values: dict[str, object] = {"source": str(source), "cache": str(cache), "resolution": 16, **settings}
    return load_images(DataConfig(**values))


def colour_of(number: int) -> tuple[int, int, int]:
    return (number % 256, number // 256, 77)


def write_pictures(root: Path, names: list[str]) -> None:
    """PNG of 16 x 16, each of its own plain colour: the number of its name in the list."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), colour_of(number)).save(root / name)


def numbers(array: np.ndarray) -> list[int]:
    """Which pictures of `write_pictures` an array holds, in its order."""
    assert (array == array[:, :1, :1]).all()
    return [int(red) + 256 * int(green) for red, green, _ in array[:, 0, 0]]


def assert_one_line_with_remedy(error: pytest.ExceptionInfo[ConfigError], *words: str) -> None:
    text = str(error.value)
    assert "\n" not in text and text.startswith("--") and ";" in text, text
    for word in words:
        assert word in text, text


def test_the_built_in_shapes_have_their_labels(cache: Path) -> None:
    images = load("shapes", cache, max_images=300, held_out=50, data_seed=3, resolution=32)
    assert images.train.shape == (250, 32, 32, 3) and images.held_out.shape == (50, 32, 32, 3)
    assert (images.channels, images.resolution, len(images.class_names)) == (3, 32, 100)
    rendered = render_shapes(0, 300, resolution=32, seed=3)
    label_of = {image.tobytes(): label for image, label in zip(rendered, labels_of(0, 300), strict=True)}
    assert len(label_of) == 300
    assert images.train_labels is not None and images.held_out_labels is not None
    assert images.train_labels.dtype == np.int64
    seen = [*zip(images.train, images.train_labels, strict=True)]
    seen += [*zip(images.held_out, images.held_out_labels, strict=True)]
    assert {image.tobytes(): label for image, label in seen} == label_of


# Colour and split


def test_colour_is_grey_only_when_every_picture_is(tmp_path: Path, cache: Path) -> None:
    grey, mixed = tmp_path / "grey", tmp_path / "mixed"
    for folder in (grey, mixed):
        folder.mkdir()
        for i, mode in enumerate(["L", "RGB", "P", "1", "LA", "I;16"] * 2):
            Image.new("L", (16, 16), 20 * i).convert("L" if mode == "I;16" else mode).save(
                folder / f"{i}.png"
            )
    Image.new("RGB", (16, 16), (200, 30, 90)).save(mixed / "colour.png")
    assert load(grey, cache).channels == 1
    assert load(grey, cache, colour="rgb").channels == 3
    assert load(mixed, cache).channels == 3
    forced = load(mixed, cache, colour="grey")
    assert forced.channels == 1
    luminance = Image.new("RGB", (1, 1), (200, 30, 90)).convert("L").getpixel((0, 0))
    assert luminance in np.concatenate([forced.train, forced.held_out])[:, 0, 0, 0]


def test_luminance_is_pillows() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        array_store.to_grey(rgb)[..., 0], np.asarray(Image.fromarray(rgb).convert("L"))
    )


def test_the_split_is_seeded_disjoint_and_not_by_class(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "root"
    write_pictures(root, [f"{kind}/{i:02}.png" for kind in "abcde" for i in range(20)])
    first = load(root, cache, held_out=15)
    assert (len(first.train), len(first.held_out)) == (85, 15)
    assert sorted(numbers(first.train) + numbers(first.held_out)) == list(range(100))
    assert first.held_out_labels is not None and len(set(first.held_out_labels.tolist())) >= 4
    elsewhere = load(root, tmp_path / "other cache", held_out=15)
    np.testing.assert_array_equal(first.held_out, elsewhere.held_out)
    np.testing.assert_array_equal(first.train, elsewhere.train)
    assert numbers(load(root, cache, held_out=15, data_seed=1).held_out) != numbers(first.held_out)
    assert len(load(root, cache, held_out=2000).held_out) == 20, "at most a fifth"


def test_a_batch_larger_than_the_training_images_is_refused(cache: Path) -> None:
    images = load("shapes", cache, max_images=100)
    images.check_batch(80)
    with pytest.raises(ConfigError) as error:
        images.check_batch(81)
    assert_one_line_with_remedy(error, "--batch", "80", "81")


# Trouble


def test_broken_files_are_skipped_and_named(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "root"
    write_pictures(root, [f"{i:02}.png" for i in range(38)])
    (root / 'a, "quoted"\nname.jpg').write_text("text")
    (root / "cut.png").write_bytes((root / "00.png").read_bytes()[:45])
    images = load(root, cache)
    assert [name for name, _ in images.skipped] == ['a, "quoted"\nname.jpg', "cut.png"]
    assert sorted(numbers(images.train) + numbers(images.held_out)) == list(range(38))
    table = cache / images.fingerprint / "skipped.csv"
    with table.open(newline="", encoding="utf-8") as file:
        assert [(row["file"], row["reason"]) for row in csv.DictReader(file)] == list(images.skipped)
    assert load(root, cache).skipped == images.skipped, "named again when the cache is used"


def test_too_many_broken_files_are_an_error_also_from_the_cache(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "root"
    write_pictures(root, [f"{i:02}.png" for i in range(9)])
    (root / "bad.jpg").write_text("text")
    for _ in range(2):
        with pytest.raises(ConfigError) as error:
            load(root, cache)
        assert_one_line_with_remedy(error, "--max-broken", "bad.jpg", "1 of 10", "skipped.csv")
    assert len(load(root, cache, max_broken=0.1).skipped) == 1


def test_the_error_for_an_empty_source_says_what_to_do(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "bare.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    write_pictures(tmp_path / "one", ["only.png"])
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.png").write_text("text")
    for source, settings, word in (
        ("absent", {}, "does not exist"),
        ("x" * 300, {}, "cannot be reached"),
        ("empty", {}, "holds no pictures"),
        ("text.zip", {}, "neither"),
        ("bare.zip", {}, "holds no pictures"),
        ("one", {}, "at least 2"),
        ("bad", {"max_broken": 1.0}, "at least 2"),
    ):
        with pytest.raises(ConfigError) as error:
            load(tmp_path / source, cache, **settings)
        assert_one_line_with_remedy(error, word, source)


# Cache


def decodes(config: DataConfig) -> int:
    """How often loading reports progress; none when the cache serves."""
    reports: list[DecodeProgress] = []
    load_images(config, on_progress=reports.append)
    assert all(0 < r.done <= r.total and r.seconds >= 0 for r in reports)
    assert not reports or reports[-1].done == reports[-1].total
    return len(reports)


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> DataConfig:
    write_pictures(tmp_path / "root", [f"{i:02}.png" for i in range(40)])
    return DataConfig(source=str(tmp_path / "root"), cache=str(cache), resolution=16)


def test_the_second_load_maps_what_the_first_decoded(folder: DataConfig) -> None:
    assert decodes(folder) > 0
    assert decodes(folder) == 0
    images = load_images(folder)
    for array in (images.train, images.held_out):
        assert isinstance(array, np.memmap) and not array.flags.writeable
    assert decodes(dataclasses.replace(folder, resolution=32)) > 0
    assert decodes(dataclasses.replace(folder, max_broken=0.5)) == 0


def test_the_cache_depends_on_content_not_on_place_or_time(folder: DataConfig, tmp_path: Path) -> None:
    first = load_images(folder).fingerprint
    moved = tmp_path / "moved"
    shutil.copytree(folder.source, moved)
    for path in moved.iterdir():
        os.utime(path, (1_000_000, 1_000_000))
    assert decodes(dataclasses.replace(folder, source=str(moved))) == 0

    path = Path(folder.source) / "07.png"
    before = path.stat()
    content = bytearray(path.read_bytes())
    Image.new("RGB", (16, 16), colour_of(8)).save(path)
    assert len(content) == before.st_size == path.stat().st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size and time, other pixels
    assert load_images(folder).fingerprint != first
    path.write_bytes(content)
    assert load_images(folder).fingerprint == first
    path.rename(path.with_name("99.png"))
    assert load_images(folder).fingerprint != first


def test_unchanged_files_are_not_read_again(folder: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        content_hash, "_SETTLED_S", -60.0
    )  # these files are new, which is otherwise not trusted
    first = load_images(folder).fingerprint

    def refuse(*_: object) -> None:
        raise AssertionError("read a file that has not changed")

    with monkeypatch.context() as patch:
        patch.setattr(content_hash.hashlib, "file_digest", refuse)
        assert load_images(folder).fingerprint == first
        (Path(folder.source) / "00.png").touch()
        with pytest.raises(AssertionError):
            load_images(folder)
    assert folder.cache is not None
    for index in Path(folder.cache).glob("*.json"):
        index.write_text('{"damaged": 3}')
    assert load_images(folder).fingerprint == first


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("train.npy", lambda content: content[:-1]),
        ("held_out.npy", lambda content: content[:40]),
        ("train.npy", lambda content: b""),
        ("train.npy", lambda content: pickle.dumps([1, 2])),
        ("store.json", lambda content: content[:20]),
        ("store.json", lambda content: b"[]"),
        ("store.json", lambda content: content.replace(b"16", b"17")),
        ("skipped.csv", lambda content: b""),
        ("held_out.npy", None),
        ("train_labels.npy", lambda content: content[:-8]),
    ],
)
def test_a_damaged_cache_is_detected_and_decoded_again(file: str, damage: object, cache: Path) -> None:
    config = DataConfig(source="shapes", max_images=100, cache=str(cache), resolution=16)
    images = load_images(config)
    train = np.array(images.train)
    path = cache / images.fingerprint / file
    content = path.read_bytes()
    path.unlink()
    if callable(damage):
        path.write_bytes(damage(content))
    assert decodes(config) > 0
    np.testing.assert_array_equal(load_images(config).train, train)
    assert decodes(config) == 0


_LOAD = """
import sys, json, time
from gan.config import DataConfig
from gan.data.loading import load_images
print("ready", flush=True)
sys.stdin.readline()
reports = []
images = load_images(DataConfig(**json.loads(sys.argv[1])), on_progress=reports.append)
print(json.dumps([len(reports), len(images.train), int(images.train.astype("int64").sum())]))
"""


def test_of_processes_that_load_at_once_one_decodes(cache: Path) -> None:
    settings = json.dumps({"source": "shapes", "max_images": 3000, "resolution": 32, "cache": str(cache)})
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _LOAD, settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    answers = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        answers.append(json.loads(process.communicate(timeout=HANGS_AFTER_S)[0]))
        assert process.returncode == 0
    assert sorted(reports > 0 for reports, _, _ in answers) == [False, False, True]
    assert len({(count, total) for _, count, total in answers}) == 1


def test_after_a_killed_decoder_the_next_one_works(folder: DataConfig, cache: Path) -> None:
    settings = json.dumps({"source": "shapes", "max_images": 40_000, "resolution": 64, "cache": str(cache)})
    process = subprocess.Popen(
        [sys.executable, "-c", _LOAD, settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None and process.stdout.readline()
    process.stdin.write("go\n")
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not list(cache.glob("*.partial")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert list(cache.glob("*.partial"))
    config = DataConfig(source="shapes", max_images=100, resolution=16, cache=str(cache))
    assert decodes(config) > 0
    assert not list(cache.glob("*.partial"))


def test_a_full_disk_is_reported_and_keeps_earlier_arrays(
    folder: DataConfig, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_images(folder)
    with monkeypatch.context() as patch:

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(array_store.os, "pwrite", full)
        with pytest.raises(ConfigError) as error:
            load_images(dataclasses.replace(folder, resolution=32))
        assert_one_line_with_remedy(error, "--cache-dir", "full")
    assert not list(cache.glob("*.partial"))
    assert decodes(folder) == 0
    assert load_images(folder).fingerprint == first.fingerprint


def test_a_source_that_may_not_be_read_is_not_blamed_on_the_cache(
    folder: DataConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/elsewhere/batch")

    monkeypatch.setattr(loading, "find_source", refuse)
    with pytest.raises(ConfigError) as error:
        load_images(folder)
    assert_one_line_with_remedy(error, "--data", "/elsewhere/batch, which cannot be read")


def test_short_writes_are_continued(folder: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(array_store.os, "pwrite", lambda file, content, at: write(file, content[:1000], at))
    images = load_images(folder)
    assert sorted(numbers(images.train) + numbers(images.held_out)) == list(range(40))


def test_a_cache_folder_that_is_a_file_is_refused(folder: DataConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for cache in ("file", "file/below"):
        with pytest.raises(ConfigError) as error:
            load_images(dataclasses.replace(folder, cache=str(tmp_path / cache)))
        assert_one_line_with_remedy(error, "--cache-dir")
