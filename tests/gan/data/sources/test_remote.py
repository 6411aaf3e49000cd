"""Pictures behind a URL: a folder or a zip, read once and then from the cache."""

import dataclasses
import io
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from common.storage.folder import Folder
from gan.config import DataConfig, GanConfig
from gan.config_file import with_absolute_paths
from gan.data.loading import load_images
from gan.data.sources import check_there
from tests.servers import s3_bucket


def _png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (number, 0, 77)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def bucket() -> Folder:
    """A store in memory, through fsspec, with forty pictures, one of them broken, and another file."""
    folder = Folder(f"memory://bucket-{uuid.uuid4().hex}/pictures")
    for number in range(40):
        folder.write(f"{'ab'[number % 2]}/{number:02}.png", _png(number) if number else b"broken")
    folder.write("notes.txt", b"x")
    return folder


def _config(url: str, tmp_path: Path) -> DataConfig:
    return DataConfig(source=url, cache=str(tmp_path / "cache"), resolution=16)


def test_a_folder_behind_a_url_is_read_once(
    bucket: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(bucket.location, tmp_path)
    images = load_images(config)
    reds = np.concatenate([images.train, images.held_out])[:, 0, 0, 0]
    assert sorted(reds.tolist()) == list(range(1, 40))
    assert images.class_names == ("a", "b") and dict(images.others) == {".txt": 1}
    assert [name for name, _ in images.skipped] == ["a/00.png"]
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "read", lambda *_: pytest.fail("read again"))
        assert load_images(config).fingerprint == images.fingerprint
        other = load_images(dataclasses.replace(config, held_out=3))
    assert len(other.held_out) == 3


def test_changed_pictures_behind_a_url_are_read_anew(bucket: Folder, tmp_path: Path) -> None:
    config = _config(bucket.location, tmp_path)
    before = load_images(config).fingerprint
    bucket.write("a/98.png", _png(98))
    after = load_images(config)
    assert after.fingerprint != before and len(after.train) + len(after.held_out) == 40


def test_a_zip_behind_a_url_is_read_where_it_is(bucket: Folder, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(40):
            archive.writestr(f"{'ab'[number % 2]}/{number:02}.png", _png(number))
    bucket.write("packed.zip", buffer.getvalue())
    images = load_images(_config(bucket.path("packed.zip"), tmp_path))
    assert len(images.train) == 32 and images.class_names == ("a", "b")


def test_what_is_not_behind_the_url_is_one_line(bucket: Folder, tmp_path: Path) -> None:
    for url, said in (
        (bucket.path("nothing"), "holds no pictures"),
        (bucket.path("nothing.zip"), "does not exist"),
        ("nosuch://bucket/x", "cannot be used"),
    ):
        with pytest.raises(ConfigError, match=said) as caught:
            load_images(_config(url, tmp_path))
        assert str(caught.value).startswith("--data") and "\n" not in str(caught.value)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a bucket on a server of moto's."""
    with s3_bucket(monkeypatch, "photos") as url:
        yield url


def test_pictures_in_s3_are_read_as_a_folder_and_as_a_zip(s3: str, tmp_path: Path) -> None:
    folder, buffer = Folder(f"{s3}/own pictures"), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(40):
            folder.write(f"{'ab'[number % 2]}/{number:02}.png", _png(number))
            archive.writestr(f"{'ab'[number % 2]}/{number:02}.png", _png(number))
    Folder(s3).write("packed.zip", buffer.getvalue())
    check_there(_config(folder.location, tmp_path))
    one, other = (load_images(_config(url, tmp_path)) for url in (folder.location, f"{s3}/packed.zip"))
    np.testing.assert_array_equal(one.train, other.train)
    assert len(one.train) == 32 and one.class_names == ("a", "b")
    with pytest.raises(ConfigError, match=r"--data .*no-such-bucket"):
        load_images(_config("s3://no-such-bucket/x", tmp_path))


def test_a_url_stays_as_it_is_where_paths_become_absolute() -> None:
    config = GanConfig(data=DataConfig(source="s3://bucket/photos"))
    assert with_absolute_paths(config) == config
