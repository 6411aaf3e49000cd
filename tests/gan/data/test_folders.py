"""Folders and zips: which pictures they hold, in which classes, and what hostile ones cannot do."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from gan.config import DataConfig
from gan.data.folders import classes_of
from gan.data.images import Images
from gan.data.loading import load_images
from gan.data.picture_list import even_indices
from tests.phone_photos import KINDS, phone_photo


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


def test_a_folder_and_its_zip_give_the_same_images(tmp_path: Path, cache: Path) -> None:
    names = [
        f"{kind}/{depth}{i}.png" for kind in ("cat", "dog") for depth in ("", "deep/er/") for i in range(5)
    ]
    write_pictures(tmp_path / "root", names)
    for extra in (".hidden.png", ".git/x.png", "__MACOSX/cat/._0.png", "readme.txt", "cat/labels.csv"):
        path = tmp_path / "root" / extra
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not a picture")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "root")
    folder, packed = load(tmp_path / "root", cache), load(tmp_path / "packed.zip", cache)
    for images in (folder, packed):
        assert images.class_names == ("cat", "dog")
        assert images.skipped == ()
        assert sorted(numbers(images.train) + numbers(images.held_out)) == list(range(20))
        assert images.train_labels is not None
        assert [n // 10 for n in numbers(images.train)] == images.train_labels.tolist()
    np.testing.assert_array_equal(folder.train, packed.train)


def test_labels_need_every_picture_in_one_of_several_folders() -> None:
    labels, names = classes_of(["b/x.png", "a/y.png", "b/deep/z.png"])
    assert labels is not None and labels.tolist() == [1, 0, 1] and names == ("a", "b")
    assert classes_of(["a/x.png", "y.png"]) == (None, ())
    assert classes_of(["x.png"]) == (None, ())
    assert classes_of(["all/x.png", "all/y.png"]) == (None, ())
    labels, names = classes_of(["all/a/x.png", "all/b/y.png"])
    assert labels is not None and labels.tolist() == [0, 1] and names == ("a", "b")


def test_links_are_followed_but_not_for_ever(tmp_path: Path, cache: Path) -> None:
    write_pictures(tmp_path / "elsewhere", [f"{i}.png" for i in range(6)])
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "linked.png").symlink_to(tmp_path / "elsewhere" / "3.png")
    (root / "loop").symlink_to(root)
    images = load(root, cache)
    assert sorted(numbers(images.train) + numbers(images.held_out)) == [0, 1, 2, 3, 3, 4, 5]


def test_a_zip_writes_nothing_under_its_members_names(tmp_path: Path, cache: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (16, 16), (1, 0, 77)).save(picture, "PNG")
    path = tmp_path / "sub" / "evil.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../../up.png", "/root.png", "a\\..\\b.png", "fine.png", "C:/x.png"):
            archive.writestr(name, picture.getvalue())
    before = set(tmp_path.rglob("*"))
    images = load(path, cache)
    assert len(images.train) + len(images.held_out) >= 2
    after = {p for p in tmp_path.rglob("*") if cache not in (p, *p.parents)}
    assert after == before


def test_max_images_are_taken_evenly(tmp_path: Path, cache: Path) -> None:
    write_pictures(tmp_path / "root", [f"{i:03}.png" for i in range(40)])
    images = load(tmp_path / "root", cache, max_images=8)
    assert sorted(numbers(images.train) + numbers(images.held_out)) == list(range(0, 40, 5))
    assert even_indices(10, 3).tolist() == [0, 3, 6]
    assert even_indices(3, 10).tolist() == even_indices(3, None).tolist() == [0, 1, 2]


def test_damaged_and_locked_zip_members_are_broken_pictures(tmp_path: Path, cache: Path) -> None:
    write_pictures(tmp_path / "root", [f"{i}.png" for i in range(10)])
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "root"))
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first, second = archive.getinfo("3.png"), archive.getinfo("7.png")
    whole[first.header_offset + 60] ^= 0xFF  # within the compressed bytes
    at = whole.rindex(b"7.png") - 46  # its entry in the central directory
    assert whole[at : at + 4] == b"PK\1\2" and second.filename == "7.png"
    whole[at + 8] |= 1  # says encrypted
    path.write_bytes(whole)
    images = load(path, cache, max_broken=0.2)
    assert [name for name, _ in images.skipped] == ["3.png", "7.png"]
    path.write_bytes(whole[:-30])
    with pytest.raises(ConfigError):
        load(path, cache)


def test_files_of_other_kinds_are_counted_and_folders_of_systems_passed_over(
    tmp_path: Path, cache: Path
) -> None:
    write_pictures(tmp_path / "root", ["a.png", "b.png", "@eaDir/c.png", "#recycle/d.png"])
    for name in ("e.jxl", "x/f.JXL", "clip.mov", "@eaDir/g.mov", "Thumbs.db"):
        (tmp_path / "root" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "root" / name).write_text("not a picture")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "root")
    for place in ("root", "packed.zip", "root"):  # again, when the cache is used
        images = load(tmp_path / place, cache)
        assert len(images.train) + len(images.held_out) == 2 and images.skipped == ()
        assert images.others == {".jxl": 2, ".mov": 1}
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "e.mov").touch()
    with pytest.raises(
        ConfigError, match=r"holds no pictures .+; skipped 1 file of other kinds: 1 \.mov; give"
    ):
        load(tmp_path / "none", cache)


def test_a_phone_s_folder_is_read_with_its_heic_and_avif(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "root").mkdir()
    for number in range(6):
        pixels = np.full((24, 32, 3), colour_of(40 * number), np.uint8)
        name = f"IMG_{number}.{KINDS[number % 2].upper()}"
        (tmp_path / "root" / name).write_bytes(phone_photo(pixels, KINDS[number % 2], orientation=6))
    images = load(tmp_path / "root", cache)
    assert images.skipped == () and not images.others
    found = np.concatenate([images.train, images.held_out]).astype(int)
    reds = sorted(found[..., 0].mean(axis=(1, 2)))
    assert np.abs(np.array(reds) - [0, 40, 80, 120, 160, 200]).max() < 3
