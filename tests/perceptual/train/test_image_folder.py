"""Folders of classes: which pictures are read, in which order, and how broken ones are handled."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from perceptual.train.image_folder import read_folder


def write(root: Path, name: str, grey: int, size: tuple[int, int] = (20, 20)) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey, grey, 255)).save(root / name)


def refusal(root: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_folder(root, 16)
    message = str(caught.value)
    assert "\n" not in message and str(root) in message and "; " in message
    return message


def test_pictures_come_in_the_order_of_classes_and_names(tmp_path: Path) -> None:
    write(tmp_path, "dog/b.png", 4)
    write(tmp_path, "dog/a.PNG", 3)
    write(tmp_path, "cat/deep/z.png", 2)
    write(tmp_path, "cat/a.png", 1)
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    told = list[tuple[int, int]]()
    found = read_folder(tmp_path, 16, lambda done, total: told.append((done, total)))
    assert found.images.shape == (4, 16, 16, 3) and found.images.dtype == np.uint8
    assert found.images[:, 5, 5, 0].tolist() == [1, 2, 3, 4] and (found.images[..., 2] == 255).all()
    assert found.labels.tolist() == [0, 0, 1, 1] and found.classes == ("cat", "dog") and found.broken == ()
    assert told == [(4, 4)]


def test_the_central_square_of_a_picture_is_kept(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None], 32, axis=0).repeat(3, axis=2)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(ramp).save(tmp_path / name / "x.png")
    found = read_folder(tmp_path, 16).images[0, 8, :, 0].astype(float)
    # columns 16 to 47 in pairs; the filter is bent at the two ends
    assert np.abs(found - (16.5 + 2 * np.arange(16)))[2:-2].max() <= 0.5


def test_grey_and_palette_pictures_become_colour(tmp_path: Path) -> None:
    write(tmp_path, "a/x.png", 9)
    (tmp_path / "b").mkdir()
    Image.new("L", (16, 16), 70).save(tmp_path / "b" / "grey.png")
    Image.new("RGB", (16, 16), (1, 2, 3)).convert("P").save(
        tmp_path / "b" / "palette.png", transparency=b"\0"
    )
    assert read_folder(tmp_path, 16).images[1, 3, 3].tolist() == [70, 70, 70]


def test_a_few_broken_pictures_are_skipped_and_named(tmp_path: Path) -> None:
    for i in range(39):
        write(tmp_path, f"{'ab'[i % 2]}/{i:02}.png", i)
    (tmp_path / "a" / "10.png").write_bytes(b"no picture")
    data = (tmp_path / "b" / "11.png").read_bytes()
    (tmp_path / "b" / "11x.png").write_bytes(data[:40])
    found = read_folder(tmp_path, 16)
    assert len(found.broken) == 2 and "10.png" in found.broken[0] and "11x.png" in found.broken[1]
    kept = [i for i in range(39) if i != 10]
    expected = sorted(i for i in kept if i % 2 == 0) + sorted(i for i in kept if i % 2)
    assert found.images[:, 0, 0, 0].tolist() == expected
    assert found.labels.tolist() == [i % 2 for i in expected]


def test_too_many_broken_pictures_are_refused_in_one_line(tmp_path: Path) -> None:
    for i in range(20):
        write(tmp_path, f"{'ab'[i % 2]}/{i:02}.png", i)
    for i in (3, 4):
        (tmp_path / "ab"[i % 2] / f"{i:02}.png").write_bytes(b"")
    message = refusal(tmp_path)
    assert "5%" in message and "2 of 20" in message and "04.png" in message


def test_folders_without_two_classes_of_pictures_are_refused_in_one_line(tmp_path: Path) -> None:
    assert "must be a folder" in refusal(tmp_path / "nowhere")
    assert "a folder of pictures for each class" in refusal(tmp_path)
    write(tmp_path, "a/x.png", 1)
    assert "at least 2 classes, not 1" in refusal(tmp_path)
    (tmp_path / "b").mkdir()
    assert str(tmp_path / "b") in refusal(tmp_path)
    (tmp_path / "a" / "x.png").unlink()
    assert "holds a picture" in refusal(tmp_path)


def test_a_class_whose_only_picture_is_broken_is_refused_in_one_line(tmp_path: Path) -> None:
    for i in range(30):
        write(tmp_path, f"a/{i:02}.png", i)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.png").write_bytes(b"")
    assert str(tmp_path / "b") in refusal(tmp_path)


def test_the_digest_is_that_of_pixels_and_labels(tmp_path: Path) -> None:
    for root in ("one", "two", "three"):
        write(tmp_path / root, "a/x.png", 1)
        write(tmp_path / root, "b/x.png", 3 if root == "three" else 2)
    one, two, three = (read_folder(tmp_path / root, 16).digest() for root in ("one", "two", "three"))
    assert one == two != three
