"""Zips and tars: read where they are, and what is said of those that cannot be."""

import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from gan.config import DataConfig
from gan.data.images import Images
from gan.data.loading import load_images


def _load(source: Path, tmp_path: Path) -> Images:
    return load_images(DataConfig(source=str(source), cache=str(tmp_path / "cache"), resolution=16))


def _png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (number, 0, 77)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty pictures of two classes, and files that are none."""
    for number in range(40):
        path = tmp_path / "root" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_png(number))
    (tmp_path / "root" / "a" / ".hidden.png").write_bytes(b"no picture")
    (tmp_path / "root" / "notes.txt").write_text("x")
    return tmp_path / "root"


def test_a_tar_gives_the_images_of_its_folder(folder: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "packed"), "tar", tmp_path, "root")
    tar, plain = _load(tmp_path / "packed.tar", tmp_path), _load(folder, tmp_path)
    for name in ("train", "held_out", "train_labels", "held_out_labels"):
        np.testing.assert_array_equal(getattr(tar, name), getattr(plain, name))
    assert tar.class_names == ("a", "b") and dict(tar.others) == {".txt": 1} and tar.skipped == ()


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("x.png", _png(1))
    with tarfile.open(tmp_path / "both.tar", "w") as outer:
        for name, content in [*((f"{i:02}.png", _png(i)) for i in range(20)), ("z.zip", inner.getvalue())]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            outer.addfile(member, io.BytesIO(content))
    images = _load(tmp_path / "both.tar", tmp_path)
    assert len(images.train) + len(images.held_out) == 20 and dict(images.others) == {".zip": 1}


def test_archives_within_an_archive_are_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as outer:
        outer.writestr("cats.zip", b"x")
        outer.writestr("dogs.tar.gz", b"x")
    with pytest.raises(ConfigError, match=r"1 \.gz, 1 \.zip; unpack the archives in it and give that folder"):
        _load(tmp_path / "outer.zip", tmp_path)


@pytest.mark.parametrize(("name", "kind"), [("my pictures.tar.gz", "w:gz"), ("x.tgz", "w:gz")])
def test_a_compressed_tar_is_refused_with_the_command_that_unpacks_it(
    name: str, kind: str, folder: Path, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / name, kind) as archive:  # type: ignore[call-overload]
        archive.add(folder, "root")
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path / name, tmp_path)
    message = str(caught.value)
    command = message[message.index("(mkdir") + 1 : message.index(") and give that folder")]
    shell = shutil.which("sh")
    assert shell is not None
    assert subprocess.run([shell, "-c", command], check=False).returncode == 0
    unpacked = tmp_path / name.partition(".")[0]
    assert len(_load(unpacked, tmp_path).train) == 32
