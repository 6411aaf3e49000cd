"""Files that say how they were made: pixels and settings come back, in every format, read another way too."""

import io
import itertools
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from styletransfer.pictures.reading import PictureError, read_picture
from styletransfer.pictures.writing import (
    SUFFIX,
    Format,
    check_size,
    encode_picture,
    format_of,
    read_settings,
    write_picture,
)

RGB = np.ascontiguousarray(astronaut()[:96, :128])
ALPHA = np.tile(np.arange(128, dtype=np.uint8) * 2, (96, 1))
ALPHA[:, 0] = 1
SETTINGS = {
    "content": 'été/cat "1".jpg',
    "style": "\udcff<b>.png",
    "weights": "0123abcd",
    "style_weight": 3.0,
    "layers": ["a", "b"],
    "losses": {"style": 0.25},
}
FORMATS: list[Format] = ["png", "jpeg", "webp", "tiff"]


@pytest.mark.parametrize(("format", "has_alpha"), list(itertools.product(FORMATS, [False, True])))
def test_pixels_alpha_and_settings_come_back(format: Format, has_alpha: bool) -> None:
    encoded = encode_picture(RGB, ALPHA if has_alpha else None, SETTINGS, format=format)
    picture = read_picture(encoded.data)
    assert read_settings(encoded.data) == SETTINGS
    if format == "jpeg" and has_alpha:
        weight = ALPHA[..., None] / 255
        expected = RGB * weight + 255 * (1 - weight)
        assert picture.alpha is None and encoded.notes == ("JPEG has no transparency: laid on white",)
    else:
        expected = RGB
        assert encoded.notes == () and (picture.alpha is not None) == has_alpha
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha, ALPHA)
    wrong = np.abs(picture.rgb.astype(float) - expected)
    assert wrong.max() == 0 if format in ("png", "tiff") else wrong.mean() < 3
    assert encoded.data == encode_picture(RGB, ALPHA if has_alpha else None, SETTINGS, format=format).data


def test_a_png_holds_its_settings_where_other_programs_look() -> None:
    data = encode_picture(RGB, None, {"seed": 3}, format="png").data
    texts, offset = {}, 8
    while offset < len(data):
        length, kind = struct.unpack(">I4s", data[offset : offset + 8])
        if kind == b"tEXt":
            key, _, text = data[offset + 8 : offset + 8 + length].partition(b"\0")
            texts[key] = text
        offset += 12 + length
    assert texts[b"Software"] == b"styletransfer"
    assert json.loads(texts[b"styletransfer"]) == {"styletransfer": {"seed": 3}}


def test_a_jpeg_is_of_its_quality_and_keeps_fine_colours() -> None:
    small, large = (len(encode_picture(RGB, None, {}, format="jpeg", quality=q).data) for q in (30, 95))
    assert small < 0.5 * large
    with Image.open(io.BytesIO(encode_picture(RGB, None, {}, format="jpeg").data)) as image:
        assert all(layer[1:3] == (1, 1) for layer in image.layer)  # no chroma subsampling
    worse, better = (len(encode_picture(RGB, None, {}, format="webp", quality=q).data) for q in (30, 95))
    assert worse < 0.5 * better


def test_no_absolute_path_or_password_is_written() -> None:
    settings = {
        "init": "/home/someone/secret/start.png",
        "mask": Path("/home/someone/secret/mask.png"),
        "other": "C:\\Users\\someone\\x.png",
        "url": ["s3://key:password@bucket/a/b.png"],
        "relative": "photos/cat.jpg",
    }
    data = encode_picture(RGB, None, settings, format="png").data
    assert read_settings(data) == {
        "init": "start.png",
        "mask": "mask.png",
        "other": "x.png",
        "url": ["b.png"],
        "relative": "photos/cat.jpg",
    }
    assert b"someone" not in data and b"password" not in data


def test_numbers_of_numpy_and_such_as_are_not_finite_are_written() -> None:
    settings = {
        "a": np.float32(0.5),
        "b": float("nan"),
        "c": (np.int64(3), float("inf")),
        "d": None,
        "e": True,
    }
    data = encode_picture(RGB, None, settings, format="webp").data
    assert read_settings(data) == {"a": 0.5, "b": None, "c": [3, None], "d": None, "e": True}


def test_what_no_file_can_hold_is_refused_in_one_line() -> None:
    for format, size in (("webp", (16_384, 10)), ("jpeg", (10, 65_501))):
        with pytest.raises(ConfigError, match=r"holds at most .* pixels a side, .*; choose png or tiff"):
            check_size(format, size)  # type: ignore[arg-type]
    check_size("png", (100_000, 1))
    with pytest.raises(ConfigError, match="settings have"):
        encode_picture(RGB, None, {"x": "y" * 70_000}, format="jpeg")
    for quality in (0, 101):
        with pytest.raises(ConfigError, match="--quality"):
            encode_picture(RGB, None, {}, format="jpeg", quality=quality)
    with pytest.raises(ConfigError, match="--format must be one of png, jpeg, webp, tiff, not gif"):
        encode_picture(RGB, None, {}, format="gif")  # type: ignore[arg-type]


def test_the_ending_says_the_format() -> None:
    assert [format_of(f"a/b{suffix}") for suffix in SUFFIX.values()] == list(SUFFIX)
    assert format_of("X.JPEG") == "jpeg" and format_of("X.Tiff") == "tiff"
    with pytest.raises(ConfigError, match=r"a.gif must end in one of .png"):
        format_of("a.gif")


@pytest.mark.parametrize("height_width", [(1, 1000), (1000, 1), (1, 1)])
@pytest.mark.parametrize("format", FORMATS)
def test_any_aspect_ratio_is_written(format: Format, height_width: tuple[int, int]) -> None:
    rgb = np.full((*height_width, 3), 128, np.uint8)
    picture = read_picture(encode_picture(rgb, None, {}, format=format).data)
    assert picture.rgb.shape == rgb.shape and np.abs(picture.rgb.astype(int) - 128).max() <= 2


def test_a_picture_is_written_whole_to_a_folder(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "out"))
    assert write_picture(folder, "a/b.jpg", RGB, ALPHA, {"seed": 1}) == (
        "JPEG has no transparency: laid on white",
    )
    assert [path.name for path in (tmp_path / "out" / "a").iterdir()] == ["b.jpg"]
    assert read_settings(tmp_path / "out" / "a" / "b.jpg") == {"seed": 1}
    (tmp_path / "out" / "file").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"):
        write_picture(folder, "file/b.png", RGB, None, {})


def test_a_picture_of_someone_else_holds_no_settings(tmp_path: Path) -> None:
    comment = Image.Exif()
    comment[0x8769] = {0x9286: b"ASCII\0\0\0a holiday"}
    for number, (format, options) in enumerate(
        [
            ("PNG", {}),
            ("JPEG", {}),
            ("JPEG", {"exif": comment}),
            ("WEBP", {}),
            ("TIFF", {"description": "[1]"}),
        ]
    ):
        path = tmp_path / f"{number}.{format}"
        Image.fromarray(RGB).save(path, format, **options)
        with pytest.raises(ConfigError, match="holds no settings") as caught:
            read_settings(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(PictureError, match="known kind"):
        read_settings(b"no picture")
