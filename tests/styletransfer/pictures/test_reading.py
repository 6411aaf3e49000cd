"""Reading one picture: odd files made here, each against a value worked out another way."""

import io
import os
import pickle
import struct
import threading
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from skimage.data import astronaut

from common.errors import ConfigError
from common.image_files import quiet_pillow
from styletransfer.pictures.reading import Picture, PictureError, read_picture, read_size
from styletransfer.pictures.resizing import fitted_size, resize
from tests.phone_photos import KINDS, Kind, phone_photo, quarters

NOISE = np.random.default_rng(7).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, depth: int, colour_type: int, rows: bytes, *extra: tuple[bytes, bytes]
) -> bytes:
    """A PNG by the specification, independent of Pillow; every row begins with its filter's byte."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *(chunk(*each) for each in extra)]
    return b"".join([b"\x89PNG\r\n\x1a\n", *parts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


def refused(source: Path | bytes, reason: str, **options: int) -> None:
    with pytest.raises(PictureError, match=reason) as caught:
        read_picture(source, name="a.png" if isinstance(source, bytes) else None, **options)
    assert "\n" not in str(caught.value) and caught.value.reason in str(caught.value)


# ---- colours


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"),
        ("L", "JPEG"),
        ("P", "GIF"),
        ("P", "PNG"),
        ("RGB", "WEBP"),
        ("CMYK", "TIFF"),
        ("YCbCr", "TIFF"),
    ],
)
def test_every_mode_keeps_its_colour(mode: str, kind: str) -> None:
    colour = (255, 255, 255) if mode == "1" else (90, 90, 90) if mode == "L" else (204, 102, 51)
    image = Image.new("RGB", (30, 20), colour).convert(mode)
    picture = read_picture(encode(image, kind))
    assert picture.rgb.dtype == np.uint8 and picture.rgb.shape == (20, 30, 3) and picture.alpha is None
    assert np.abs(picture.rgb.astype(int) - colour).max() <= (0 if mode in ("1", "P") else 3)
    assert picture.size_px == read_size(encode(image, kind)) == (30, 20) and picture.notes == ()
    assert picture.rgb.flags.writeable  # torch.from_numpy warns about others


@pytest.mark.parametrize("value", [0, 1000, 32768, 65535])
def test_16_bits_are_scaled_to_8(value: int) -> None:
    grey = png(3, 1, 16, 0, b"\0" + struct.pack(">HHH", 0, value, 65535))
    np.testing.assert_array_equal(read_picture(grey).rgb[0, :, 0], [0, round(value * 255 / 65535), 255])
    rgb = png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", value, 0, 65535))
    np.testing.assert_array_equal(read_picture(rgb).rgb[0, 0], [value >> 8, 0, 255])
    file = io.BytesIO()
    tifffile.imwrite(file, np.full((4, 4, 3), value, np.uint16), photometric="rgb")
    np.testing.assert_array_equal(read_picture(file.getvalue()).rgb, value >> 8)


def test_floats_are_taken_for_one_as_white() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, np.array([[0, 0.25, 1]], np.float32))
    np.testing.assert_array_equal(read_picture(file.getvalue()).rgb[0, :, 1], [0, 64, 255])
    file = io.BytesIO()
    tifffile.imwrite(file, np.array([[0, np.nan, 1]], np.float32))
    refused(file.getvalue(), "NaN or infinite")


# ---- alpha


def test_alpha_is_kept_and_what_cannot_be_seen_is_white() -> None:
    rgba = np.dstack([NOISE, np.tile(np.array([0, 128, 255, 255], np.uint8), (24, 10))])
    picture = read_picture(encode(Image.fromarray(rgba), "PNG"))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, rgba[..., 3])
    np.testing.assert_array_equal(picture.rgb[:, 1::4], NOISE[:, 1::4])
    assert (picture.rgb[:, 0::4] == 255).all()
    weight = rgba[..., 3:] / 255
    expected = NOISE * weight + 255 * (1 - weight)
    assert np.abs(picture.on_white() - expected).max() <= 0.5


def test_alpha_that_hides_nothing_is_none() -> None:
    assert read_picture(encode(Image.new("RGBA", (3, 3), (1, 2, 3, 255)), "PNG")).alpha is None


def test_grey_with_alpha_and_palettes_with_clear_colours_have_alpha() -> None:
    grey = read_picture(encode(Image.new("LA", (2, 2), (70, 90)), "PNG"))
    assert grey.alpha is not None and (grey.alpha == 90).all() and (grey.rgb == 70).all()
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putdata([0, 1])
    for kind in ("PNG", "GIF"):
        read = read_picture(encode(palette, kind, transparency=0))
        assert read.alpha is not None
        np.testing.assert_array_equal(read.alpha, [[0, 255]])
        np.testing.assert_array_equal(read.rgb[0, 1], [200, 100, 50])


def test_the_clear_grey_of_a_16_bit_png_has_alpha() -> None:
    rows = b"\0" + struct.pack(">HH", 300, 301)
    picture = read_picture(png(2, 1, 16, 0, rows, (b"tRNS", struct.pack(">H", 300))))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, [[0, 255]])


def test_a_clear_colour_of_16_bits_is_said_to_be_left_out() -> None:
    rows, clear = b"\0" + struct.pack(">HHH", 1, 512, 700), struct.pack(">HHH", 1, 512, 700)
    assert "clear colour" in read_picture(png(1, 1, 16, 2, rows, (b"tRNS", clear))).notes[0]


# ---- colour profiles


def s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def icc(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of version 2 by the specification (ICC.1:2001-04, section 6)."""
    offset = 132 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", 0, b"\0" * 4, 0x02100000, kind, space, connection)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28 + s15(0.9642, 1, 0.8249)
    profile = head.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(profile)) + profile[4:]


TEXT = b"desc" + struct.pack(">II", 0, 2) + b"x\0" + b"\0" * 78
WHITE = b"XYZ \0\0\0\0" + s15(0.9642, 1, 0.8249)
GAMMA_2_2 = b"curv" + struct.pack(">IIH", 0, 1, round(2.2 * 256)) + b"\0\0"
# primaries of Adobe RGB (1998) and of sRGB, adapted to D50, as their columns
ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def adobe_rgb() -> bytes:
    columns = {f"{c}XYZ".encode(): b"XYZ \0\0\0\0" + s15(*ADOBE[:, i]) for i, c in enumerate("rgb")}
    curves = {f"{c}TRC".encode(): GAMMA_2_2 for c in "rgb"}
    tags = {b"desc": TEXT, b"cprt": TEXT, b"wtpt": WHITE, **columns, **curves}
    return icc(b"RGB ", b"XYZ ", b"mntr", tags)


def srgb_encoded(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def as_srgb(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    linear = (values / 255) ** (round(2.2 * 256) / 256)
    return srgb_encoded(linear @ ADOBE.T @ np.linalg.inv(SRGB).T)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_profile_is_converted_to_srgb(kind: str) -> None:
    expected = as_srgb(NOISE)
    read = read_picture(encode(Image.fromarray(NOISE), kind, icc_profile=adobe_rgb()))
    assert read.notes == ()
    assert np.abs(read.rgb - expected).max() <= 1.6
    assert np.abs(NOISE - expected).max() > 40  # it does make a difference


def test_a_profile_counts_for_colours_with_alpha_and_in_palettes() -> None:
    alpha = np.full(NOISE.shape[:2], 77, np.uint8)
    read = read_picture(encode(Image.fromarray(np.dstack([NOISE, alpha])), "PNG", icc_profile=adobe_rgb()))
    assert np.abs(read.rgb - as_srgb(NOISE)).max() <= 1.6
    assert read.alpha is not None and (read.alpha == 77).all()
    palette = Image.new("P", (4, 4))
    palette.putpalette([20, 200, 90])
    read = read_picture(encode(palette, "PNG", icc_profile=adobe_rgb()))
    assert np.abs(read.rgb - as_srgb(np.array([20, 200, 90], np.uint8))).max() <= 1.6


def test_a_grey_profile_is_converted_to_srgb() -> None:
    profile = icc(
        b"GRAY", b"XYZ ", b"mntr", {b"desc": TEXT, b"cprt": TEXT, b"wtpt": WHITE, b"kTRC": GAMMA_2_2}
    )
    ramp = np.arange(256, dtype=np.uint8)[None]
    read = read_picture(encode(Image.fromarray(ramp), "PNG", icc_profile=profile))
    expected = srgb_encoded((ramp / 255) ** (round(2.2 * 256) / 256))
    assert np.abs(read.rgb - expected[..., None]).max() <= 1.6


def test_a_cmyk_profile_is_converted_to_srgb() -> None:
    # its inks are three greys and a black: L* = 100 (1 - mean of cyan, magenta, yellow) (1 - black)
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    lightness = [round(255 * (1 - (c + m + y) / 3) * (1 - k)) for c, m, y, k in corners]
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + s15(1, 0, 0, 0, 1, 0, 0, 0, 1) + ramp * 4
    lut += b"".join(bytes([value, 128, 128]) for value in lightness) + ramp * 3
    tags = {b"desc": TEXT, b"cprt": TEXT, b"wtpt": WHITE, b"A2B0": lut, b"A2B1": lut}
    image = Image.new("CMYK", (4, 4), (255, 0, 0, 0))  # cyan, were it not for the profile
    read = read_picture(encode(image, "TIFF", icc_profile=icc(b"CMYK", b"Lab ", b"prtr", tags)))
    expected = srgb_encoded(np.array(((100 * 2 / 3 + 16) / 116) ** 3))  # CIE 1976, inverse of L*
    assert np.abs(read.rgb - expected).max() <= 2 and read.notes == ()


def test_a_damaged_or_unfit_profile_is_left_out_and_said() -> None:
    damaged = read_picture(encode(Image.fromarray(NOISE), "PNG", icc_profile=b"no profile at all"))
    unfit = read_picture(encode(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "TIFF", icc_profile=adobe_rgb()))
    np.testing.assert_array_equal(damaged.rgb, NOISE)
    assert (unfit.rgb == 255).all()
    assert "damaged" in damaged.notes[0] and "does not fit" in unfit.notes[0]


# ---- orientation

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


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_the_exif_orientation_is_applied_to_colours_and_alpha(kind: str, orientation: int) -> None:
    stored = np.dstack([NOISE, np.maximum(NOISE[..., 0], 1)])
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = encode(Image.fromarray(stored), kind, exif=exif, **options)
    picture = read_picture(data)
    assert picture.alpha is not None
    np.testing.assert_array_equal(np.dstack([picture.rgb, picture.alpha]), UPRIGHT[orientation](stored))
    assert read_size(data) == picture.size_px


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_of_a_phone_is_turned_once(kind: Kind, orientation: int) -> None:
    stored = quarters(48, 64)
    data, expected = phone_photo(stored, kind, orientation), UPRIGHT[orientation](stored)
    picture = read_picture(data)
    assert read_size(data) == picture.size_px == (expected.shape[1], expected.shape[0])
    assert np.abs(picture.rgb.astype(int) - expected).mean() < 4 and picture.notes == ()


@pytest.mark.parametrize("kind", KINDS)
def test_photos_of_phones_keep_their_alpha(kind: Kind) -> None:
    stored = np.dstack([quarters(48, 64), np.full((48, 64), 255, np.uint8)])
    stored[:, 32:, 3] = 0
    alpha = read_picture(phone_photo(stored, kind)).alpha
    assert alpha is not None and np.abs(alpha.astype(int) - stored[..., 3]).mean() < 4


def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = encode(Image.fromarray(NOISE), "PNG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage")
    np.testing.assert_array_equal(read_picture(data).rgb, NOISE)
    assert read_size(data) == (40, 24)


# ---- several frames


@pytest.mark.parametrize(
    ("kind", "word"), [("GIF", "frame"), ("PNG", "frame"), ("WEBP", "frame"), ("TIFF", "page")]
)
def test_the_first_frame_is_used_and_that_is_said(kind: str, word: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read_picture(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert (picture.rgb == (255, 0, 0)).all()
    assert picture.notes == (f"only its first {word} is used",)


# ---- what is refused


def test_what_is_no_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    empty = tmp_path / "empty.png"
    empty.touch()
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
        (nowhere, "a broken link"),
        (tmp_path / "absent.png", "no such file"),
        (pipe, "regular file"),
        (folder, "regular file"),
        (postscript, "known kind"),
    ):
        refused(path, reason)
        with pytest.raises(PictureError, match=str(path)):
            read_size(path)
    refused(b"", "empty file")


def test_an_odd_name_makes_no_second_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\x1b[31m.png"
    path.write_text("no picture")
    refused(path, "known kind")


def test_zero_area_is_refused() -> None:
    refused(png(0, 5, 8, 0, b""), ".")
    for offset in (18, 22):  # width and height in a BMP
        bitmap = bytearray(encode(Image.new("RGB", (4, 4)), "BMP"))
        bitmap[offset : offset + 4] = bytes(4)
        refused(bytes(bitmap), ".")


def test_a_bomb_is_refused_from_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded a bomb")

    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    tracemalloc.start()
    refused(png(11_000, 11_000, 8, 2, b"\0"), "11000 x 11000 pixels, over the limit of 120,000,000")
    refused(png(50_000, 50_000, 8, 2, b"\0"), "over the limit of 120,000,000 pixels")
    refused(png(11, 10, 8, 2, b"\0"), "11 x 10 pixels, over the limit of 100", max_pixels=100)
    bomb = bytearray(encode(Image.new("RGB", (4, 4)), "WEBP", lossless=True))
    bomb[21:25] = struct.pack("<I", 16_383 | 16_383 << 14)
    refused(bytes(bomb), "over the limit")
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_a_silly_limit_is_refused() -> None:
    for limit in (0, 10**9):
        with pytest.raises(ConfigError, match="max_pixels"):
            read_picture(b"", max_pixels=limit)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_half_a_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = encode(Image.fromarray(noise), kind)
    refused(whole[: len(whole) // 2], ".")


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]), st.data())
@settings(deadline=None, max_examples=150)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(kind: str, data: st.DataObject) -> None:
    whole = bytearray(encode(Image.fromarray(NOISE), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = whole[: data.draw(st.integers(1, len(whole)))]
    try:
        picture = read_picture(bytes(cut), long_side_px=16, max_pixels=10**6)
    except PictureError as error:
        assert "\n" not in str(error) and len(str(error)) <= 200
    else:
        assert picture.rgb.ndim == 3 and max(picture.rgb.shape[:2]) <= 16


def test_the_error_survives_a_trip_between_processes() -> None:
    error = pickle.loads(pickle.dumps(PictureError("a.png", "an empty file")))
    assert error.reason == "an empty file" and "a.png" in str(error)


# ---- sizes


def test_one_pixel_is_read_and_grows_on_demand() -> None:
    data = encode(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG")
    assert read_picture(data, long_side_px=64).rgb.tolist() == [[[9, 8, 7]]]
    grown = read_picture(data, long_side_px=64, enlarge=True)
    assert grown.rgb.shape == (64, 64, 3) and (grown.rgb == (9, 8, 7)).all()


def test_twenty_thousand_pixels_in_width_are_read_in_little_memory() -> None:
    data = encode(Image.new("RGB", (20_000, 300), (10, 100, 200)), "PNG")
    tracemalloc.start()
    picture = read_picture(data, long_side_px=500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert picture.rgb.shape == (8, 500, 3) and (picture.rgb == (10, 100, 200)).all()
    assert read_size(data) == (20_000, 300)
    assert peak < 5 * 20_000 * 300 * 3


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 500), st.booleans())
def test_the_longer_side_fits_and_proportions_hold(width: int, height: int, side: int, enlarge: bool) -> None:
    fitted = fitted_size((width, height), side, enlarge=enlarge)
    if max(width, height) > side or enlarge:
        assert max(fitted) == side
        shorter = min(width, height) * side / max(width, height)
        assert abs(min(fitted) - max(1, shorter)) <= 0.5
        assert (fitted[0] >= fitted[1]) == (width >= height) or fitted[0] == fitted[1]
    else:
        assert fitted == (width, height)


@given(st.integers(1, 1000), st.booleans(), st.integers(1, 40), st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_aspect_ratio_keeps_its_colour(long: int, is_wide: bool, side: int, has_alpha: bool) -> None:
    shape = (1, long) if is_wide else (long, 1)
    rgb = np.full((*shape, 3), (200, 30, 90), np.uint8)
    alpha = np.full(shape, 100, np.uint8) if has_alpha else None
    size = fitted_size((shape[1], shape[0]), side, enlarge=True)
    resized, opacity = resize(rgb, alpha, size)
    assert resized.shape == (size[1], size[0], 3)
    assert np.abs(resized.astype(int) - (200, 30, 90)).max() <= 1
    assert (opacity is None) != has_alpha and (opacity is None or (opacity == 100).all())


def test_a_fine_checkerboard_keeps_its_brightness() -> None:
    board = np.repeat((np.indices((400, 400)).sum(0) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    expected = srgb_encoded(np.array(0.5))  # half of the light; 127.5 would be a fifth of it
    for side in (200, 100, 37, 3):
        assert np.abs(resize(board, None, (side, side))[0] - expected).max() <= 3


def test_averaging_in_bands_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    rgb, alpha = rng.integers(0, 256, (331, 217, 3), np.uint8), rng.integers(0, 256, (331, 217), np.uint8)
    whole = resize(rgb, alpha, (20, 30))
    monkeypatch.setattr("styletransfer.pictures.resizing._BAND_PX", 217 * 7)
    banded = resize(rgb, alpha, (20, 30))
    np.testing.assert_array_equal(whole[0], banded[0])
    np.testing.assert_array_equal(whole[1], banded[1])


def test_shrinking_agrees_with_the_filter_on_all_pixels() -> None:
    rgb = astronaut()
    linear = np.where(rgb / 255 <= 0.04045, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    planes = [Image.fromarray(linear[..., c].astype(np.float32)) for c in range(3)]
    filtered = np.stack([np.asarray(p.resize((50, 40), Image.Resampling.LANCZOS)) for p in planes], axis=-1)
    assert np.abs(resize(rgb, None, (50, 40))[0] - srgb_encoded(filtered)).mean() < 1


def test_what_cannot_be_seen_does_not_bleed_when_resized() -> None:
    rgb = np.zeros((40, 40, 3), np.uint8)
    rgb[:, 20:] = (0, 200, 0)
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, 20:] = 255
    resized, opacity = resize(rgb, alpha, (10, 10))
    assert opacity is not None
    seen = opacity > 60
    assert seen.any() and np.abs(resized[seen].astype(int) - (0, 200, 0)).max() <= 1


def test_warnings_are_held_back_in_many_threads_and_come_back() -> None:
    before = list(warnings.filters)
    data, failures = encode(Image.fromarray(NOISE), "PNG"), []

    def work() -> None:
        for _ in range(20):
            picture = read_picture(data, long_side_px=8)
            if not isinstance(picture, Picture):
                failures.append(picture)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and list(warnings.filters) == before
    with quiet_pillow():
        warnings.warn("odd", Image.DecompressionBombWarning, stacklevel=1)
