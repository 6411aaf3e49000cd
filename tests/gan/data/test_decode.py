"""Reading one picture: generated unusual files, each against a value computed by hand."""

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common.image_files import UnreadableError, quiet_pillow
from gan.data.decode import Framing, read_squares
from tests.phone_photos import KINDS, Kind, phone_photo, quarters

LOSSLESS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True, "exact": True}}


def read_picture(file: Path | bytes, resolution: int) -> np.ndarray:
    (square,) = read_squares(file, Framing(resolution=resolution)).pixels
    return square


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


colours = st.tuples(*[st.integers(0, 255)] * 3)
sizes = st.tuples(st.integers(1, 70), st.integers(1, 70))

# what each orientation says about the stored rows and columns (EXIF 2.3, 4.6.4, tag 274)
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


@given(st.sampled_from(sorted(LOSSLESS)), st.integers(1, 8), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_the_exif_orientation_is_applied(kind: str, orientation: int, seed: int) -> None:
    stored = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    data = encode(Image.fromarray(stored), kind, exif=exif, **LOSSLESS[kind])
    np.testing.assert_array_equal(read_picture(data, 16), UPRIGHT[orientation](stored))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_of_a_phone_is_turned_once(kind: Kind, orientation: int) -> None:
    stored = quarters(64, 64)
    found = read_picture(phone_photo(stored, kind, orientation), 64).astype(int)
    assert np.abs(found - UPRIGHT[orientation](stored)).mean() < 4  # of any other turn 60 and more


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_jpeg_is_turned_before_it_is_cropped(orientation: int) -> None:
    stored = np.zeros((200, 500, 3), np.uint8)
    stored[:, 150:250] = (250, 10, 10)  # left half of the centre square
    stored[:, 250:350] = (10, 10, 250)
    exif = Image.Exif()
    exif[274] = orientation
    read = read_picture(encode(Image.fromarray(stored), "JPEG", quality=95, exif=exif), 16)
    expected = UPRIGHT[orientation](stored[:, 150:350])[6::12, 6::12][:16, :16]
    wrong = np.abs(read.astype(int) - expected)
    # the two colours mix where they meet: along a row after a quarter turn, else along a column
    assert np.delete(wrong, [7, 8], axis=0 if orientation >= 5 else 1).max() < 40


FORMATS_OF_MODE = {
    "1": ["PNG", "GIF", "BMP", "TIFF"],
    "L": ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"],
    "P": ["PNG", "GIF", "BMP", "TIFF"],
    "RGB": ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"],
    "CMYK": ["JPEG", "TIFF"],
    "YCbCr": ["JPEG", "TIFF"],
}


@given(st.data(), colours, sizes, st.sampled_from([16, 32]))
@settings(deadline=None, max_examples=150)
def test_a_plain_picture_of_any_mode_kind_and_size_keeps_its_colour(
    data: st.DataObject, colour: tuple[int, int, int], size: tuple[int, int], resolution: int
) -> None:
    mode = data.draw(st.sampled_from(sorted(FORMATS_OF_MODE)))
    kind = data.draw(st.sampled_from(FORMATS_OF_MODE[mode]))
    red, green, blue = colour
    if mode == "1":
        image, colour = Image.new("1", size, red & 1), (255 * (red & 1),) * 3
    elif mode == "L":
        image, colour = Image.new("L", size, red), (red,) * 3
    elif mode == "P":
        image = Image.new("P", size, 1)
        image.putpalette([0, 0, 0, *colour])
    elif mode == "CMYK":
        image = Image.new("CMYK", size, (255 - red, 255 - green, 255 - blue, 0))
    else:
        image = Image.new("RGB", size, colour).convert(mode)
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    read = read_picture(encode(image, kind, **options), resolution)
    assert read.shape == (resolution, resolution, 3)
    assert read.dtype == np.uint8
    tolerance = 4 if kind == "JPEG" or mode == "YCbCr" else 0
    assert np.abs(read.astype(int) - colour).max() <= tolerance


@given(
    st.sampled_from(["RGBA", "LA", "P", "1 and key", "L and key", "RGB and key"]),
    st.sampled_from(["PNG", "WEBP", "TIFF", "GIF"]),
    colours,
    st.integers(0, 255),
)
@settings(deadline=None, max_examples=150)
def test_transparent_pixels_are_composited_on_white(
    mode: str, kind: str, colour: tuple[int, int, int], alpha: int
) -> None:
    red, green, blue = colour
    if mode == "RGBA" and kind != "GIF":
        data = encode(Image.new("RGBA", (20, 16), (red, green, blue, alpha)), kind, **LOSSLESS[kind])
    elif mode == "LA" and kind in ("PNG", "TIFF"):
        colour = (red, red, red)
        data = encode(Image.new("LA", (20, 16), (red, alpha)), kind)
    elif mode == "P" and kind in ("PNG", "GIF"):
        image = Image.new("P", (20, 16), 1)
        image.putpalette([0, 0, 0, *colour])
        alpha = 0 if kind == "GIF" else alpha
        data = encode(image, kind, transparency=1 if kind == "GIF" else bytes([255, alpha]))
    elif "key" in mode:
        alpha, kind = 0, "PNG"
        pixel = {"1": 255, "L": red, "RGB": colour}[mode.split()[0]]
        data = encode(Image.new(mode.split()[0], (20, 16), pixel), kind, transparency=pixel)
    else:
        return
    expected = np.array(colour) * (alpha / 255) + 255 * (1 - alpha / 255)
    assert np.abs(read_picture(data, 16) - expected).max() <= 1


@given(st.lists(st.integers(0, 65535), min_size=256, max_size=256), st.sampled_from(["PNG", "TIFF"]))
@settings(deadline=None, max_examples=30)
def test_16_bit_grey_is_scaled_to_8_bits(values: list[int], kind: str) -> None:
    grey = np.array(values, dtype=np.uint16).reshape(16, 16)
    read = read_picture(encode(Image.fromarray(grey), kind), 16)
    expected = np.array([(2 * value * 255 + 65535) // (2 * 65535) for value in values]).reshape(16, 16)
    np.testing.assert_array_equal(read, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("kind", "low", "high", "black", "white"),
    [
        (np.float32, 0, 1, 0, 1),
        (np.float32, 0.25, 0.5, 0, 1),
        (np.float32, 0, 200, 0, 255),
        (np.float32, 10, 40_000, 0, 65535),
        (np.float32, -3, 5, -3, 5),
        (np.float32, 1e6, 3e6, 1e6, 3e6),
        (np.int32, 0, 200, 0, 255),
        (np.int32, 0, 60_000, 0, 65535),
        (np.int32, 5, 2_000_000, 5, 2_000_000),
        (np.float32, 7, 7, 0, 255),
        (np.float32, 1e7, 1e7, 1e7, 1e7 + 1),  # nothing to tell black from white: black
    ],
)
def test_32_bit_grey_is_scaled_by_the_range_it_fits(
    kind: type, low: float, high: float, black: float, white: float
) -> None:
    values = np.linspace(low, high, 256).reshape(16, 16).astype(kind)
    read = read_picture(encode(Image.fromarray(values), "TIFF"), 16)
    expected = (values.astype(float) - black) / (white - black) * 255
    assert np.abs(read[..., 0] - expected).max() <= 0.501


def test_a_float_picture_with_nan_is_broken() -> None:
    values = np.full((16, 16), np.nan, np.float32)
    with pytest.raises(UnreadableError, match="finite"):
        read_picture(encode(Image.fromarray(values), "TIFF"), 16)


def test_of_an_animation_the_first_frame_is_read() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (read_picture(data, 16) == (255, 0, 0)).all(), kind


def test_the_first_frame_of_an_animation_may_be_transparent() -> None:
    frames = [Image.new("RGBA", (16, 16), colour) for colour in ((255, 0, 0, 0), (0, 0, 255, 255))]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        assert (read_picture(data, 16) == 255).all(), kind


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    for side in (12_000, 50_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        ) + chunk(b"IEND", b"")
        tracemalloc.start()
        with quiet_pillow(), pytest.raises(UnreadableError, match="pixels"):
            read_picture(data, 32)
        assert tracemalloc.get_traced_memory()[1] < 3e6
        tracemalloc.stop()


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]), st.data())
@settings(deadline=None, max_examples=200)
def test_a_damaged_file_is_read_or_broken_and_nothing_else(kind: str, data: st.DataObject) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    whole = bytearray(encode(Image.fromarray(noise), kind))
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 8))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        with quiet_pillow():
            read = read_picture(bytes(whole), 16)
    except UnreadableError as error:
        assert "\n" not in str(error) and len(str(error)) <= 120
    else:
        assert read.shape == (16, 16, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_half_a_file_is_broken(kind: str) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = encode(Image.fromarray(noise), kind)
    with pytest.raises(UnreadableError):
        read_picture(whole[: len(whole) // 2], 32)


def test_a_picture_with_damaged_exif_is_read() -> None:
    image = Image.new("RGB", (16, 16), (40, 90, 200))
    data = encode(image, "PNG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage")
    with quiet_pillow():
        assert (read_picture(data, 16) == (40, 90, 200)).all()


def test_a_file_that_is_not_a_picture_is_broken(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    nowhere = tmp_path / "nowhere.png"
    nowhere.symlink_to(tmp_path / "absent")
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    folder = tmp_path / "folder.png"
    folder.mkdir()
    # a kind that Pillow knows, but which starts Ghostscript
    postscript = tmp_path / "program.png"
    postscript.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    for path, reason in (
        (text, "known kind"),
        (empty, "empty file"),
        (nowhere, "broken link"),
        (pipe, "regular file"),
        (folder, "regular file"),
        (postscript, "known kind"),
    ):
        with pytest.raises(UnreadableError, match=reason):
            read_picture(path, 16)
